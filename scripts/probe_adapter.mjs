// Exits with 0 where Dawn finds an adapter and 1 where it finds none. A process of its own, because a broken driver
// may crash, and because the loader reads the driver's environment variables only once.
import { create } from "webgpu";

process.exit((await create([]).requestAdapter()) === null ? 1 : 0);
