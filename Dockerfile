# occsynth and occfer on a slim image. Without --target, docker builds the last stage.
#   docker build -t occsynth .                      occsynth and occfer on the CPU
#   docker build -t occsynth:gpu --target gpu .     the same for NVIDIA GPUs: docker run --gpus all ...
#   docker build -t occsynth:base --target base .   occsynth alone, without PyTorch
# Mount the raw database read-only and a folder to write to:
#   docker run --rm -v /databases/ck+:/raw:ro -v "$PWD":/data occsynth occsynth build --db ck+ --root /raw --mode r16
# By default pip installs PyTorch's CUDA build, which also runs on a CPU but takes several GB. For a small CPU image, name
# PyTorch's own index of CPU builds (its "Get started" page has the address): --build-arg TORCH_INDEX_URL=...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
# Libraries that the OpenCV and MediaPipe wheels load; a test compares them with occsynth/system_libraries.py.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libgl1 libglib2.0-0 libxcb1 libegl1 libgles2 \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY templates templates
COPY occsynth occsynth
COPY occfer occfer
RUN pip install . && occsynth doctor
RUN useradd --create-home --uid 1000 researcher && install -d -o researcher /data
WORKDIR /data
CMD ["occsynth", "--help"]

FROM base AS gpu
RUN pip install '/src[all]'
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER researcher

FROM base AS cpu
ARG TORCH_INDEX_URL=
RUN if [ -n "$TORCH_INDEX_URL" ]; then pip install --index-url "$TORCH_INDEX_URL" torch torchvision; fi \
    && pip install '/src[all]'
USER researcher
