"""Run by Alembic with the connection that models.database hands over."""

from alembic import context
from sqlmodel import SQLModel

import models.articles
import models.events
import models.feeds
import models.keys
import models.pages
import models.prices
import models.reviews
import models.rollups
import models.tags  # noqa: F401

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
context.run_migrations()
