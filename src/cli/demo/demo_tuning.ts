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
        "loss": 0.45745026193865423,
        "accuracy": 0.83,
        "macroF1": 0.7587930191862023,
      },
      {
        "learningRate": 0.03,
        "loss": 0.3705095359948364,
        "accuracy": 0.88,
        "macroF1": 0.8465909090909092,
      },
      {
        "learningRate": 0.1,
        "loss": 0.29374468050971286,
        "accuracy": 0.8833333333333333,
        "macroF1": 0.8588235294117648,
      },
      {
        "learningRate": 0.3,
        "loss": 0.2928121867061767,
        "accuracy": 0.8833333333333333,
        "macroF1": 0.8588235294117648,
      },
      {
        "learningRate": 1,
        "loss": 1.735617645265242,
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
        "loss": 0.4286156553260665,
        "accuracy": 0.8366666666666667,
        "macroF1": 0.7658303464755079,
      },
      {
        "learningRate": 0.03,
        "loss": 0.32073794140500117,
        "accuracy": 0.8966666666666666,
        "macroF1": 0.8684191909902517,
      },
      {
        "learningRate": 0.1,
        "loss": 0.25671533584979767,
        "accuracy": 0.9033333333333333,
        "macroF1": 0.8787878787878788,
      },
      {
        "learningRate": 0.3,
        "loss": 1.0356725016564015,
        "accuracy": 0.7066666666666667,
        "macroF1": 0.4140625,
      },
      {
        "learningRate": 1,
        "loss": 35.862251383463544,
        "accuracy": 0.7066666666666667,
        "macroF1": 0.4140625,
      },
    ],
  },
};
