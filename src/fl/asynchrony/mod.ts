export { type Clock, type ClockContext, createClock, type Turn } from "./clock.ts";
export type { Flight, FlightRecord, InFlight, Staleness } from "./in_flight.ts";
export { type Arrivals, mix, stalenessWeight } from "./mix.ts";
export * from "./options.ts";
