export { FederationError, RefusedError } from "./errors.ts";
export { fileStore } from "./file_store_node.ts";
export {
  type HostedRun,
  type HostEvent,
  hostFederation,
  type HostOptions,
  type HostSettings,
} from "./host.ts";
export { indexedDbStore } from "./indexed_db_store.ts";
export { type Invitation, invitedTask } from "./invitation.ts";
export {
  type InvitationOptions,
  joinFederation,
  type JoinOptions,
  type ParticipantEvent,
  type ParticipantLimits,
  type ParticipantTraffic,
  readInvitation,
} from "./join.ts";
export { memoryStore, type ParticipantStore } from "./participant_store.ts";
export { federationPermissions, type FederationUser } from "./permissions.ts";
export type { ParticipantNews } from "./reception.ts";
export type { Member, Presence } from "./roster.ts";
