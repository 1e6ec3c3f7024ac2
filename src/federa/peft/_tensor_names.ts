/** What PEFT puts before the names of the model's modules. */
export const PREFIX = "base_model.model.";

/** A name of a file for a message, cut short only where none of a model is as long. */
export function showName(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

/** Names of the tensors of one adapted layer. */
export interface LayerTensors {
  loraA?: string;
  loraB?: string;
  /** Lengths of the weight's rows, of DoRA. */
  magnitude?: string;
}

/** What the tensors of a PEFT file are for. */
export interface SortedTensors {
  /** Tensors of adapted layers, by the layer's name in `transformers`. */
  readonly layers: ReadonlyMap<string, LayerTensors>;
  /** Tensors that take the place of parameters, by the parameter's name in `transformers`. */
  readonly parameters: ReadonlyMap<string, string>;
  /** What is wrong. */
  readonly problems: readonly string[];
}

const parts: Readonly<Record<string, keyof LayerTensors>> = {
  "lora_A.weight": "loraA",
  "lora_B.weight": "loraB",
  "lora_magnitude_vector": "magnitude",
};

/** Tells adapted layers from parameters that are stored whole, by the names of a file's tensors. */
export function sortTensors(names: Iterable<string>): SortedTensors {
  const layers = new Map<string, LayerTensors>();
  const parameters = new Map<string, string>();
  const problems: string[] = [];
  // With `bias` "all", the biases of a module that is stored whole are stored two or three times.
  const copies = new Map<string, string>();
  for (const name of names) {
    if (!name.startsWith(PREFIX)) {
      problems.push(`tensor ${showName(name)} must begin with ${PREFIX}`);
      continue;
    }
    const place = name.slice(PREFIX.length);
    const [, layer, part] = /^(.+)\.(lora_[AB]\.weight|lora_magnitude_vector)$/.exec(place) ?? [];
    if (layer !== undefined) {
      const tensors = layers.get(layer) ?? {};
      tensors[parts[part!]!] = name;
      layers.set(layer, tensors);
    } else if (/\.lora_[^.]*(\.|$)/.test(place)) {
      problems.push(`tensor ${showName(name)} is a part of adapters that isn't supported`);
    } else if (/\.(original_module|modules_to_save)\./.test(place)) {
      copies.set(place.replace(/\.(original_module|modules_to_save)\./, "."), name);
    } else parameters.set(place.replace(/\.base_layer\.bias$/, ".bias"), name);
  }
  for (const [place, name] of copies) {
    if (!parameters.has(place)) {
      problems.push(`tensor ${showName(name)} is present, but ${showName(PREFIX + place)} is missing`);
    }
  }
  for (const [layer, { loraA, loraB }] of layers) {
    const missing = [...loraA ? [] : ["lora_A.weight"], ...loraB ? [] : ["lora_B.weight"]];
    if (missing.length > 0) problems.push(`layer ${showName(layer)} lacks ${missing.join(" and ")}`);
  }
  if (layers.size === 0) problems.push("it adapts no layer");
  return { layers, parameters, problems };
}
