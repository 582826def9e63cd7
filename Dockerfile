# Serves on port 8080, and /metrics and /healthz on port 9090. What follows the
# name of the image are arguments of halfclose.
#
#   docker build -t halfclose .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     --stop-timeout 130 -p 8080:8080 -v "$PWD/upper.ts:/srv/upper.ts:ro" \
#     halfclose /srv/upper.ts

FROM denoland/deno:2.9.6

WORKDIR /halfclose
COPY . .
# All that is needed later, so that nothing is fetched or written at run time.
RUN deno cache cli.ts deploy/healthcheck.ts

# The user "deno" of the image, by number: Kubernetes must see that it is not
# root. It owns nothing here, and so cannot change what it runs.
USER 1993:1993
ENV DENO_NO_UPDATE_CHECK=1
EXPOSE 8080 9090

# On the port of the metrics: a probe of port 8080 would take a turn.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["deno", "run", "--no-prompt", "--cached-only", "-N=127.0.0.1:9090", "/halfclose/deploy/healthcheck.ts"]

# tini is in the image: as process 1, it passes signals on and reaps programs.
# Modules and files may be read below /srv only. 127.0.0.1 is for connections
# to itself, which prove at the end that nobody waits any more.
ENTRYPOINT ["/tini", "--", "deno", "run", "--no-prompt", "--cached-only", "-N=0.0.0.0:8080,0.0.0.0:9090,127.0.0.1", "-R=/srv", "/halfclose/cli.ts", "--metrics", "0.0.0.0:9090", "--log-format", "json"]
CMD ["--echo"]
