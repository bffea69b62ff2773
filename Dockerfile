# The sidecar as an image:
#
#   docker build --pull -t onward .
#   docker run --stop-timeout 45 --env-file onward.env -p 127.0.0.1:8000:8000 onward
#
# See docs/operations.md for what belongs into onward.env. Nothing secret is needed to build it.

ARG RUST_VERSION=1.95
ARG DEBIAN_RELEASE=trixie

FROM rust:${RUST_VERSION}-slim-${DEBIAN_RELEASE} AS build
# What librdkafka is built with, besides the C compiler that Rust has needed anyway.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG TARGETPLATFORM
# What was downloaded and compiled stays in caches of the builder: a change in our sources compiles
# those, a new version of one crate that crate. A layer of dependencies would be thrown away as a
# whole, and takes stand-ins for sources that are not there yet. Locked, because cargo's own locks
# do not reach from one build to another. The caches are no part of the layer, hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=onward-target-${TARGETPLATFORM},target=/src/target,sharing=locked \
    cargo build --locked --release --package onward-cli --features gcp,azure,tls,kafka \
    && cp target/release/onward /onward

FROM debian:${DEBIAN_RELEASE}-slim
LABEL org.opencontainers.image.title="onward" \
      org.opencontainers.image.description="A commit coordinator for data lakes, as a sidecar that speaks the lakeFS HTTP API" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that volumes and `runAsNonRoot` can count on it.
RUN groupadd --gid 10001 onward \
    && useradd --uid 10001 --gid onward --no-create-home --home-dir /var/lib/onward \
        --shell /usr/sbin/nologin onward \
    && install -d -o onward -g onward -m 0750 /var/lib/onward
# The authorities that object stores and Redis are checked against; with them alone there is no
# package to install, and no package list to refresh.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0755 deploy/onward-probe /usr/local/bin/onward-probe
COPY --from=build /onward /usr/local/bin/onward

USER 10001:10001
# Where an onward.toml is looked for, and a place for file:// storage in a volume.
WORKDIR /var/lib/onward
EXPOSE 8000

# Whether the process answers, not whether Redis does: a restart mends the one and not the other.
# The probe is a script of the shell that the base image has anyway; curl would be the largest thing
# in the image that has to be patched. It speaks plain HTTP: with TLS or another port, give a
# --health-cmd of your own or --no-healthcheck. Kubernetes takes no notice of it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["onward-probe"]

ENTRYPOINT ["onward"]
CMD ["serve", "--listen", "0.0.0.0:8000"]
