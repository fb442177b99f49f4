# syntax=docker/dockerfile:1

# MinIO publishes no images any more; docker-compose.yml builds the version that the tests run against.
FROM golang:1.25-bookworm AS s3-build
RUN CGO_ENABLED=0 go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

FROM debian:bookworm-slim AS s3
RUN useradd --system --uid 902 --user-group --home-dir /data --shell /usr/sbin/nologin s3 \
  && install -d -o s3 -g s3 -m 0700 /data
COPY --from=s3-build /go/bin/minio /usr/local/bin/minio
USER s3
ENTRYPOINT ["minio"]

FROM node:24-bookworm-slim AS holdfast
# The PostgreSQL server is there for restored instances. Debian's package would make a cluster of its own.
RUN mkdir -p /etc/postgresql-common/createcluster.d \
  && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/holdfast.conf \
  && apt-get update \
  && apt-get install -y --no-install-recommends \
    ca-certificates openssl pgbackrest postgresql-15 postgresql-client-15 zstd \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 901 --user-group --home-dir /var/lib/holdfast --shell /usr/sbin/nologin holdfast \
  && install -d -o holdfast -g holdfast -m 0755 /var/lib/holdfast /var/lib/holdfast/instances \
  && install -d -o holdfast -g holdfast -m 0700 /var/lib/holdfast/restore-credentials \
  && install -d -o postgres -g postgres -m 0755 /var/lib/postgresql /var/lib/postgresql/15 \
  && install -d -o postgres -g postgres -m 0775 /var/run/postgresql \
  && ln -s /holdfast/bin/holdfast /usr/local/bin/holdfast

WORKDIR /holdfast
COPY package.json package-lock.json ./
# Not `npm ci`: a lock file that was written for one platform is refused on another.
RUN npm install --omit=dev --no-save --no-audit --no-fund && npm cache clean --force
COPY bin ./bin
COPY src ./src
COPY deploy/compose ./deploy/compose
COPY LICENSE ./
# Bundling at each start would cost every worker seconds and memory.
RUN node src/workers/bundle.ts /holdfast/workflow-bundle.js
ENV NODE_ENV=production \
  HOLDFAST_WORKFLOW_BUNDLE=/holdfast/workflow-bundle.js \
  HOLDFAST_CONFIG=/etc/holdfast/holdfast.yaml

# Restored servers run as this user too. A host worker beside a database runs as the owner of its files instead.
USER holdfast
ENTRYPOINT ["/holdfast/bin/holdfast"]
CMD ["--help"]
