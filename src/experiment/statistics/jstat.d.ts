/** The one function of jStat that is used here. */
declare module "jstat" {
  const jstat: {
    readonly jStat: {
      readonly studentt: {
        /** The quantile of Student's t at a probability. */
        inv(probability: number, degreesOfFreedom: number): number;
      };
    };
  };
  export default jstat;
}
