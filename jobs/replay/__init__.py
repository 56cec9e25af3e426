"""A replay of real history that runs offline: briefs written by us, served as feeds on a replayed clock.

briefs/*.jsonl are grounded in prices/ and macro/, in FOMC statements and in named public events;
tests/test_replay_briefs.py holds every one of them to that.
"""
