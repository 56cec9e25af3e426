FROM python:3.12-slim AS build
RUN python -m venv /srv/storyshift
ENV PATH=/srv/storyshift/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-deps --no-build-isolation . && pip uninstall --yes pip

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home --home-dir /var/lib/storyshift --shell /usr/sbin/nologin storyshift \
    && python -m pip uninstall --yes --quiet --root-user-action=ignore pip
COPY --from=build /srv/storyshift /srv/storyshift
ENV PATH=/srv/storyshift/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/storyshift
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/v1/health/ready', timeout=5)"]
CMD ["storyshift", "run", "--host", "0.0.0.0"]
