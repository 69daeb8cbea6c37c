# Holdfast's image. Node itself comes with the packages, so that any base with glibc will do:
#
#   npm ci --omit=dev && docker build -t REGISTRY/holdfast:VERSION .
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim
FROM ${BASE_IMAGE}

# Node needs libatomic1 and libstdc++6; ca-certificates are for object stores behind TLS.
ARG PACKAGES="ca-certificates libatomic1 libstdc++6"
RUN dpkg-query --show ${PACKAGES} > /dev/null 2>&1 || \
  { apt-get update && apt-get install -y --no-install-recommends ${PACKAGES} && rm -rf /var/lib/apt/lists/*; }

WORKDIR /app
ENV PATH=/app/node_modules/.bin:/usr/local/bin:/usr/bin:/bin
COPY package.json package-lock.json ./
COPY node_modules ./node_modules
COPY cmd ./cmd
COPY src ./src

# Node keeps what it has compiled, for each user apart. Movers are started as root, and do half as much work with it.
ENV NODE_COMPILE_CACHE=/app/compiled
RUN export HOLDFAST_PASSWORD=none RESTIC_REPOSITORY=/tmp/warm-up && \
  node cmd/holdfast.js init && node cmd/holdfast.js backup --dir cmd && \
  node cmd/holdfast.js restore latest --dir /tmp/warmed-up && rm -r /tmp/warm-up /tmp/warmed-up && \
  node --eval "import('./src/volume/mover.ts'); import('./src/store/s3-store.ts')"

# Enough for everything but moving a volume's files; movers are started as user 0 to keep owners.
USER 65532:65532
ENTRYPOINT ["node", "/app/cmd/holdfast.js"]
