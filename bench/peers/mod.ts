import { webgpu } from "../../src/engine/gpu/_provider_node.ts";
import { loadJaxJs } from "./jax_js.ts";
import type { Peer } from "./peer.ts";
import { loadTfjs } from "./tfjs.ts";

export type { Peer, PreparedProduct, Product } from "./peer.ts";

const loaders = { "jax-js": loadJaxJs, tfjs: loadTfjs };

/** The libraries that there is something to compare with, installed or not. */
export const peerNames: readonly string[] = Object.keys(loaders);

/**
 * Loads every peer that is installed and runs here. They look for WebGPU where browsers have it, so `navigator.gpu` becomes
 * the same implementation, in the same process, that the engine runs on.
 */
export async function loadPeers(
  adapter: string,
  complain: (what: string) => void,
): Promise<Peer[]> {
  const value = {
    gpu: webgpu(),
    userAgent: `Node.js/${process.versions.node}`,
  };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
  const peers: Peer[] = [];
  for (const [name, load] of Object.entries(loaders)) {
    try {
      const peer = await load();
      if (peer.adapter === adapter) peers.push(peer);
      else {complain(
          `${name} runs on another adapter: expected ${adapter}, got ${peer.adapter}`,
        );}
    } catch (error) {
      complain(
        `${name} cannot be run: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return peers;
}
