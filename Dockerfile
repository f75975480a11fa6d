# One image for every role of Ferrodur; the command says which: worker lifecycle, worker
# boot --site …, starter …
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./worker ./starter

FROM debian:bookworm-slim
# ipmitool talks to BMCs; ipxe brings the loaders that TFTP serves.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates ipmitool ipxe \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
ENTRYPOINT []
CMD ["worker", "--help"]
