export { FederationError, RefusedError } from "./errors.ts";
export { fileStore } from "./participant/file_store_node.ts";
export {
  type HostedRun,
  type HostEvent,
  hostFederation,
  type HostOptions,
  type HostSettings,
} from "./host/host.ts";
export { indexedDbStore } from "./participant/indexed_db_store.ts";
export { type Invitation, invitedTask } from "./invitation.ts";
export { joinFederation, readInvitation } from "./participant/join.ts";
export type { InvitationOptions, JoinOptions, ParticipantLimits } from "./participant/join_options.ts";
export type { ParticipantEvent, ParticipantTraffic } from "./participant/participant_event.ts";
export { memoryStore, type ParticipantStore } from "./participant/participant_store.ts";
export { federationPermissions, type FederationUser } from "./permissions.ts";
export type { ParticipantNews } from "./host/reception.ts";
export type { Member, Presence } from "./host/roster.ts";
