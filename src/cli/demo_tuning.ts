/**
 * Validation scores of the demonstration's methods after its rounds, by learning rate, and the rate with the best macro-F1.
 * Written by `scripts/tune_demo.ts`.
 */
export const demoTuning = {
  "fedit": {
    "best": 0.3,
    "trials": [
      {
        "learningRate": 0.01,
        "loss": 0.43067815944026505,
        "accuracy": 0.8133333333333334,
        "macroF1": 0.715370018975332,
      },
      {
        "learningRate": 0.03,
        "loss": 0.34629513814151014,
        "accuracy": 0.85,
        "macroF1": 0.787170311046649,
      },
      {
        "learningRate": 0.1,
        "loss": 0.2726979246479406,
        "accuracy": 0.8866666666666667,
        "macroF1": 0.8514937976821385,
      },
      {
        "learningRate": 0.3,
        "loss": 0.2559775802395959,
        "accuracy": 0.89,
        "macroF1": 0.8659825912739776,
      },
      {
        "learningRate": 1,
        "loss": 165.53070882161458,
        "accuracy": 0.7066666666666667,
        "macroF1": 0.4140625,
      },
    ],
  },
  "federa": {
    "best": 0.1,
    "trials": [
      {
        "learningRate": 0.01,
        "loss": 0.40424284949119205,
        "accuracy": 0.78,
        "macroF1": 0.6377341920374707,
      },
      {
        "learningRate": 0.03,
        "loss": 0.3027075027825576,
        "accuracy": 0.86,
        "macroF1": 0.8023715415019763,
      },
      {
        "learningRate": 0.1,
        "loss": 0.19870121760198273,
        "accuracy": 0.9233333333333333,
        "macroF1": 0.9038662486938349,
      },
      {
        "learningRate": 0.3,
        "loss": 52.74631815592448,
        "accuracy": 0.7066666666666667,
        "macroF1": 0.4140625,
      },
      {
        "learningRate": 1,
        "loss": 198.30709228515624,
        "accuracy": 0.7066666666666667,
        "macroF1": 0.4140625,
      },
    ],
  },
};
