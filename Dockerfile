# The controller's image: one static program and nothing else.
#   docker build -t REGISTRY/ageseal-controller:TAG .
# Alpine's Rust links programs statically, against musl; it brings the C compiler that ring needs.
FROM rust:1.95-alpine AS build
WORKDIR /src
COPY . .
# The folders that are kept between builds are no part of a layer, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package ageseal-controller \
    && cp target/release/ageseal-controller /ageseal-controller

# No shell, no package manager, no user database: a number is enough to not be root.
FROM scratch
COPY --from=build /ageseal-controller /ageseal-controller
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/ageseal-controller"]
