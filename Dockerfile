# syntax=docker/dockerfile:1
# docker build -t baro . && docker run --rm -p 8000:8000 baro serve --dev
# For another system than this one: --platform linux/arm64.

FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS client
WORKDIR /src
COPY scripts/client scripts/client
COPY socketio/bundle socketio/bundle
RUN scripts/client

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=client /src/socketio/bundle/dist socketio/bundle/dist
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -tags socketioclient -ldflags='-s -w' -o /out/baro ./cmd/baro \
	&& mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/baro /baro
# A volume here, with BARO_DATA=/var/lib/baro, keeps messages. It belongs to the user below.
COPY --from=build --chown=65532:65532 /out/data /var/lib/baro
COPY LICENSE /
USER 65532:65532
# UDP is for HTTP/3, with a certificate.
EXPOSE 8000/tcp 8000/udp
# It knows where the server is by the environment (BARO_LISTEN, BARO_CONFIG), not by arguments of docker run.
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["/baro", "healthcheck"]
ENTRYPOINT ["/baro"]
CMD ["serve"]
