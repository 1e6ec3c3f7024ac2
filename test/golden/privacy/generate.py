"""
Rényi divergences and ε of Google's dp-accounting, for test/fl/privacy: python generate.py writes reference.json.

Whole orders are dp-accounting's. For broken ones it adds up an alternating series that it cuts after 1000 terms, where it may be off
by some percent at orders near 1 (order 1.1, q 0.01, z 1.1), or it drops the order; these are integrals of 30 digits instead.
"""

import json
import pathlib

import mpmath
from dp_accounting import dp_event
from dp_accounting import mechanism_calibration
from dp_accounting.rdp import rdp_privacy_accountant as rdp

cases = [
    dict(samplingRate=q, noiseMultiplier=z, rounds=t, delta=d)
    for q, z, t, d in [
        (1, 1, 1, 1e-5),
        (1, 10, 100, 1e-5),
        (0.01, 1.1, 1000, 1e-5),
        (0.1, 1, 100, 1e-5),
        (0.1, 2, 200, 1e-5),
        (0.05, 0.8, 500, 1e-6),
        (256 / 60000, 1.1, 14062, 1e-5),
        (0.5, 0.4, 3, 1e-3),
        (0.9, 5, 40, 1e-7),
        (0.001, 0.5, 20000, 1e-8),
        (0.3, 30, 10, 1e-5),
    ]
]
orders = [1.1, 1.5, 2, 2.5, 3.7, 5, 8.3, 10.9, 16, 17.25, 32, 64, 128, 256]


def event(q, z, t):
    return dp_event.SelfComposedDpEvent(
        dp_event.PoissonSampledDpEvent(q, dp_event.GaussianDpEvent(z)), t
    )


def spent(case, chosen):
    accountant = rdp.RdpAccountant(chosen)
    accountant.compose(event(case["samplingRate"], case["noiseMultiplier"], case["rounds"]))
    epsilon, order = accountant.get_epsilon_and_optimal_order(case["delta"])
    return dict(epsilon=float(epsilon), order=float(order))


def integral(order, q, z):
    order, q, z = mpmath.mpf(order), mpmath.mpf(q), mpmath.mpf(z)

    def integrand(x):
        density = mpmath.exp(-x * x / (2 * z * z)) / (z * mpmath.sqrt(2 * mpmath.pi))
        return density * (1 - q + q * mpmath.exp((2 * x - 1) / (2 * z * z))) ** order

    points = mpmath.linspace(-25 * z, order + 25 * z, 60)
    return mpmath.log(mpmath.quad(integrand, points)) / (order - 1)


def divergence(order, q, z):
    if order != int(order):
        return float(integral(order, q, z))
    accountant = rdp.RdpAccountant([order])
    accountant.compose(event(q, z, 1))
    return float(accountant._rdp[0])


mpmath.mp.dps = 30
whole = list(range(2, 257))
for case in cases:
    case["divergences"] = [divergence(order, case["samplingRate"], case["noiseMultiplier"]) for order in orders]
    case["whole"] = spent(case, whole)

composed = rdp.RdpAccountant(whole)
parts = [
    dict(samplingRate=0.1, noiseMultiplier=1.5, rounds=30),
    dict(samplingRate=0.02, noiseMultiplier=0.9, rounds=200),
    dict(samplingRate=1, noiseMultiplier=8, rounds=5),
]
for part in parts:
    composed.compose(event(part["samplingRate"], part["noiseMultiplier"], part["rounds"]))

calibrations = []
for epsilon, q, t, d in [(1, 0.1, 100, 1e-5), (8, 0.01, 1000, 1e-6), (0.5, 1, 10, 1e-5), (3, 0.5, 50, 1e-4)]:
    found = mechanism_calibration.calibrate_dp_mechanism(
        lambda: rdp.RdpAccountant(whole), lambda z: event(q, z, t), epsilon, d, tol=1e-9
    )
    calibrations.append(dict(epsilon=epsilon, samplingRate=q, rounds=t, delta=d, noiseMultiplier=float(found)))

pathlib.Path(__file__).with_name("reference.json").write_text(
    json.dumps(
        dict(
            orders=orders,
            cases=cases,
            composition=dict(parts=parts, delta=1e-5, epsilon=float(composed.get_epsilon(1e-5))),
            calibrations=calibrations,
        ),
        indent=2,
    )
    + "\n"
)
