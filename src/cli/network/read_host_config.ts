import { dirname, resolve } from "node:path";
import { checkSource, parseWith, readJsonFile, resolveSource } from "../../experiment/config/parse_config.ts";
import { type HostConfig, hostConfigSchema } from "../../network/nats/federation/host/host_config.ts";

/**
 * Reads the configuration of a host; paths of the model and of test data in it are relative to its folder.
 *
 * @throws {ConfigError} if the file cannot be read, is not JSON, is not a configuration, or its model's folder isn't there.
 */
export async function readHostConfig(path: string): Promise<HostConfig> {
  const config = parseWith(hostConfigSchema, await readJsonFile(path), path);
  await checkSource(config, path);
  const at = (file: string) => resolve(dirname(path), file);
  const { test, model } = config;
  return {
    ...config,
    model: resolveSource(model, at),
    ...(test &&
      { test: { ...test, files: typeof test.files === "string" ? at(test.files) : test.files.map(at) } }),
  };
}
