# Postroom's image:  docker build -t postroom .      How it is run: docs/deploy.md
ARG BASE=python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c

FROM ${BASE} AS build
ARG PIP_INDEX_URL=https://pypi.org/simple
COPY requirements.txt /
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes -r /requirements.txt \
    && /opt/venv/bin/pip --disable-pip-version-check check \
    && /opt/venv/bin/pip uninstall -q -y pip \
    && cd /opt/venv/lib/python3*/site-packages \
    && rm -rf pandas/tests pyarrow/tests pyarrow/include
COPY . /opt/postroom
# Whatever the checkout's file modes: any user of the container may read, nobody there may write.
RUN chmod -R u=rwX,go=rX /opt/postroom && /opt/venv/bin/python -m compileall -q /opt/postroom

FROM ${BASE}
ARG UID=8501
ARG GID=8501
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Postroom" \
    org.opencontainers.image.description="Operations dashboard for docker-mailserver" \
    org.opencontainers.image.version="${VERSION}"
RUN groupadd --gid "${GID}" postroom \
    && useradd --uid "${UID}" --gid "${GID}" --no-create-home --home-dir /tmp --shell /usr/sbin/nologin postroom \
    && install -d -o "${UID}" -g "${GID}" -m 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/postroom /opt/postroom
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    POSTROOM_DATA_DIR=/data \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_BROWSER_SERVER_ADDRESS=localhost \
    FORWARDED_ALLOW_IPS=""
WORKDIR /opt/postroom
USER ${UID}:${GID}
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8501, timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
CMD ["streamlit", "run", "dashboard.py"]
