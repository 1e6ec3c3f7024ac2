/**
 * Past one process: clients and blocks of clients on other machines, in other people's federations and in browsers.
 *
 * @module
 */
export {};
