import { webgpu } from "../../src/engine/gpu/_provider_node.ts";
import { type Jax, loadJaxJs } from "./jax_js.ts";
import type { LoadedPeer } from "./peer.ts";
import { loadTfjs, type Tfjs } from "./tfjs.ts";

export type { Jax, JaxArray, JaxTree } from "./jax_js.ts";
export type { TensorFlow, Tfjs, TfTensor } from "./tfjs.ts";

/** The libraries that run here, to write programs with; one that doesn't is undefined. */
export interface Peers {
  readonly jax: Jax | undefined;
  readonly tfjs: Tfjs | undefined;
  /** Versions by name of those that run. */
  readonly versions: Readonly<Record<string, string>>;
}

/** The names under which the libraries' samples are reported, whether they run here or not. */
export const peerNames = ["jax-js", "tfjs"] as const;

/** Name of a library in samples and reports. */
export type PeerName = typeof peerNames[number];

/**
 * Loads every peer that is installed and runs here. They look for WebGPU where browsers have it, so `navigator.gpu` becomes
 * the same implementation, in the same process, that the engine runs on.
 */
export async function loadPeers(
  adapter: string,
  complain: (what: string) => void,
): Promise<Peers> {
  const value = {
    gpu: webgpu(),
    userAgent: `Node.js/${process.versions.node}`,
  };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
  const versions: Record<string, string> = {};
  const tryLoad = async <Handle>(
    name: PeerName,
    load: () => Promise<LoadedPeer<Handle>>,
  ): Promise<Handle | undefined> => {
    try {
      const peer = await load();
      if (peer.adapter !== adapter) {
        throw new Error(`it runs on another adapter: expected ${adapter}, got ${peer.adapter}`);
      }
      versions[name] = peer.version;
      return peer.handle;
    } catch (error) {
      complain(`${name} cannot be run: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const jax = await tryLoad("jax-js", loadJaxJs);
  const tfjs = await tryLoad("tfjs", loadTfjs);
  return { jax, tfjs, versions };
}
