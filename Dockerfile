# burnish on processors, without torch: for photos and videos, alone or as a node of a Ray cluster.
#
#   docker build -t burnish .
#   docker run --rm -v "$PWD:/photos" -u "$(id -u):$(id -g)" burnish apply l0-smoothing photo.jpg
#   docker run --rm --network host --shm-size 1g --entrypoint ray burnish start --head --block

FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/burnish \
    && /opt/burnish/bin/pip install --no-cache-dir '.[cluster,photo]'

FROM python:3.12-slim-bookworm
COPY --from=build /opt/burnish /opt/burnish
# Compiled operators and the measured speed of engines are kept in this folder.
RUN mkdir -m 1777 /cache /photos
ENV PATH=/opt/burnish/bin:$PATH \
    BURNISH_CACHE=/cache \
    NUMBA_CACHE_DIR=/cache/numba \
    RAY_USAGE_STATS_ENABLED=0
USER 1000:1000
WORKDIR /photos
ENTRYPOINT ["burnish"]
CMD ["--help"]
