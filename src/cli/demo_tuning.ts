/** The demonstration's grid of learning rates and validation scores. */
export const demoTuning = { fedit: { best: 0.1 }, federa: { best: 0.1 } };
