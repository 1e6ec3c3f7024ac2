import { test } from "node:test";
import { servedMethods } from "../../../../src/network/flower/learning/served_methods.ts";
import { checkServed } from "../../../support/flower_learners.ts";

for (const method of servedMethods) {
  test(`FlowerLearner.handle() trains ${method}, as all served methods, to what simulate() comes to`, (t) =>
    checkServed(t, method));
}
