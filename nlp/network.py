"""The network of the tagger `minilm`: an encoder, and for each label a look at the tokens that tell of it. Needs torch.

Each of the narratives and assets has a query of its own over the tokens (label attention); what it gathers, beside the
mean of all tokens, tells whether the label holds. Direction and tone are told by heads that all labels share, so that
"soars" is learned once.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel

DROPOUT = 0.1
EMBEDDED = (1, 3, 5)
"""After these layers texts of topics that no label asks for are still told apart; after the last they are not."""


class Network(nn.Module):
    """Output row: narratives n, directions 3n, modality 2, assets m, tones 3m; all logits."""

    def __init__(self, encoder: Path, *, n_narratives: int, n_assets: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(str(encoder), attn_implementation="eager", trust_remote_code=False)
        width, labels = self.encoder.config.hidden_size, n_narratives + n_assets
        self.n_narratives, self.liquidity = n_narratives, 2
        self.dropout = nn.Dropout(DROPOUT)
        self.query = nn.Parameter(torch.randn(labels, width) * 0.02)
        self.key = nn.Linear(width, width)
        self.mix = nn.Linear(2 * width, width)
        self.holds = nn.Parameter(torch.randn(labels, width) * 0.02)
        self.bias = nn.Parameter(torch.full((labels,), -2.0))
        self.direction = nn.Linear(width, 3)
        self.own_direction = nn.Parameter(torch.zeros(n_narratives, 3, width))
        self.own_bias = nn.Parameter(torch.zeros(n_narratives, 3))
        self.tone = nn.Linear(width, 3)
        self.tone_bias = nn.Parameter(torch.zeros(n_assets, 3))
        self.modality = nn.Linear(width, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, tokens) of ids and of 1 where a token stands -> (batch, outputs), (batch, 3 * width).

        The second is the mean token after three of the layers: what a text is about, labelled or not.
        """
        layers = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        ).hidden_states
        tokens = self.dropout(layers[-1])
        there = attention_mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * there).sum(1) / there.sum(1)
        about = torch.cat([(layers[place] * there).sum(1) / there.sum(1) for place in EMBEDDED], -1)
        fit = torch.einsum("lh,bth->blt", self.query, self.key(tokens)) / math.sqrt(tokens.shape[-1])
        fit = fit.masked_fill(attention_mask[:, None, :] == 0, -1e4)
        seen = torch.einsum("blt,bth->blh", fit.float().softmax(-1).to(tokens.dtype), tokens)
        both = torch.cat([seen, mean[:, None, :].expand_as(seen)], -1)
        labels = self.dropout(nn.functional.gelu(self.mix(both)))
        holds = (labels * self.holds).sum(-1) + self.bias
        narratives, assets = labels[:, : self.n_narratives], labels[:, self.n_narratives :]
        directions = self.direction(narratives) + self.own_bias
        directions = directions + torch.einsum("blh,lch->blc", narratives, self.own_direction)
        tones = self.tone(assets) + self.tone_bias
        out = torch.cat(
            [
                holds[:, : self.n_narratives],
                directions.flatten(1),
                self.modality(labels[:, self.liquidity]),
                holds[:, self.n_narratives :],
                tones.flatten(1),
            ],
            1,
        )
        return out, about
