#!/usr/bin/env bash
# Packs what a Linux machine on x86-64 without Node and without a network needs to run this checkout, into .gpu/ (about 35 MB): Node,
# node_modules without the tools of development, and the Vulkan loader as Debian's packages.
#   bash scripts/gpu_kit/pack.sh      from the project's root, on such a machine with a network, after npm ci
# Then copy the checkout with .gpu/ to the other machine, and there, from its root:
#   bash .gpu/run.sh node scripts/with_gpu.mjs bench/gpu/run.ts      or any other command
set -euo pipefail
[ -d node_modules/webgpu/dist/linux-x64 ] || { echo "Cannot pack: run npm ci in the project's root first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p .gpu "$work/bin"
node=$(readlink -f "$(command -v node)")
strip "$node" -o "$work/bin/node" 2>/dev/null || cp "$node" "$work/bin/node"
tar -C "$work" -c bin | xz -T0 -6 > .gpu/node.tar.xz
tar -c --exclude=node_modules/{deno,@deno,typescript,@typescript,@types,@webgpu} \
  --exclude=node_modules/webgpu/dist/{darwin-universal,linux-arm64,win32-x64,win32-arm64} \
  --exclude='*.map' --exclude='*.d.ts' --exclude='*/.cache' node_modules | xz -T0 -6 > .gpu/modules.tar.xz
# What graphics drivers without a screen are loaded by; run.sh leaves them out where they are installed.
if ! compgen -G '.gpu/*.deb' > /dev/null; then
  if command -v apt-get > /dev/null; then
    mkdir -p "$work/lists/partial"
    apt="-oAPT::Architecture=amd64 -oAPT::Architectures=amd64 -oDir::State::Lists=$work/lists"
    apt-get $apt update -qq > /dev/null
    (cd .gpu && apt-get $apt download -qq libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2 > /dev/null)
  else
    echo "No apt-get here: the other machine must have the Vulkan loader (libvulkan.so.1)" >&2
  fi
fi
cp scripts/gpu_kit/run.sh .gpu/run.sh
du -sh .gpu
