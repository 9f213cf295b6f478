from __future__ import annotations

from collections.abc import Callable

import pytest

from mlpipe.recipe.plan import Plan

BASE = "source: {keras: model.keras}\nconvert: {to: neuralnetwork}\n"


def steps(plan: Plan) -> dict[str, list[tuple[str, int]]]:
    return {variant.name: [(step.method, step.bits) for step in variant.steps] for variant in plan.variants}


@pytest.mark.parametrize(
    ("quantize", "expected"),
    [
        ("fp16: {weights: float16}", {"fp16": [("float16", 16)]}),
        ("a: {method: linear}", {"a": [("linear", 8)]}),
        ("a: {method: linear, bits: [8, 4]}", {"a-8": [("linear", 8)], "a-4": [("linear", 4)]}),
        ("a: {method: linear, bits: [8]}", {"a-8": [("linear", 8)]}),
        (
            "a: {method: [linear, kmeans], bits: [2, 1]}",
            {"a-linear-2": [("linear", 2)], "a-linear-1": [("linear", 1)], "a-kmeans-2": [("kmeans", 2)], "a-kmeans-1": [("kmeans", 1)]},
        ),
        ("a: {method: linear, minimum_snr_db: [0.5, 10]}", {"a-0.5": [("linear", 8)], "a-10": [("linear", 8)]}),
        ("a: {method: linear, bits: 8, symmetric: [true, false]}", {"a-true": [("linear", 8)], "a-false": [("linear", 8)]}),
        ("a: {method: linear, skip: [x, y]}", {"a": [("linear", 8)]}),
        ("a: {method: linear, bits: [8, 4], name: 'n${bits}'}", {"n8": [("linear", 8)], "n4": [("linear", 4)]}),
        ("a: {name: b, method: linear}", {"b": [("linear", 8)]}),
        ("c: [{method: kmeans, bits: 4}, {method: linear}]", {"c": [("kmeans", 4), ("linear", 8)]}),
        ("c: [{method: kmeans, bits: [4, 2]}, {weights: float16}]", {"c-4": [("kmeans", 4), ("float16", 16)], "c-2": [("kmeans", 2), ("float16", 16)]}),
        ("c: {steps: [{method: kmeans}], name: d}", {"d": [("kmeans", 8)]}),
        (
            "m: {matrix: {bits: [8, 4], method: [linear, kmeans], exclude: [{bits: 8, method: linear}], include: [{method: kmeans, bits: 1}]}}",
            {"m-8-kmeans": [("kmeans", 8)], "m-4-linear": [("linear", 4)], "m-4-kmeans": [("kmeans", 4)], "m-kmeans-1": [("kmeans", 1)]},
        ),
        (
            "m: {matrix: {bits: [8], include: [{method: lut, bits: 1, function: 'tables.py:f'}, {method: linear}]}, name: 'm-${bits}-${method}'}",
            {"m-8-linear": [("linear", 8)], "m-1-lut": [("lut", 1)]},
        ),
        (
            "m: {matrix: {first: [8, 4]}, name: 'm${first}', steps: [{method: kmeans, bits: '${first}'}, {method: linear}]}",
            {"m8": [("kmeans", 8), ("linear", 8)], "m4": [("kmeans", 4), ("linear", 8)]},
        ),
        ("m: {matrix: {n: [3]}, method: linear, bits: ['${n}', 2]}", {"m-3-3": [("linear", 3)], "m-3-2": [("linear", 2)]}),
        ("", {}),
    ],
)
def test_what_quantize_declares(quantize: str, expected: dict[str, list[tuple[str, int]]], plan_of: Callable[[str], Plan]) -> None:
    assert steps(plan_of(f"{BASE}quantize: {{{quantize}}}\n")) == expected


def test_variables_reach_lists_and_single_values(plan_of: Callable[[str], Plan]) -> None:
    recipe = BASE + "vars: {widths: [8, 2], how: kmeans}\nquantize:\n  v: {method: '${how}', bits: '${widths}'}\n"
    assert steps(plan_of(recipe)) == {"v-8": [("kmeans", 8)], "v-2": [("kmeans", 2)]}


def test_a_matrix_name_shadows_a_variable(plan_of: Callable[[str], Plan]) -> None:
    recipe = BASE + "vars: {n: 1}\nquantize:\n  v: {matrix: {n: [8]}, method: linear, bits: '${n}'}\n  w: {method: linear, bits: '${n}'}\n"
    assert steps(plan_of(recipe)) == {"v-8": [("linear", 8)], "w": [("linear", 1)]}


MANY = list(range(200))


@pytest.mark.parametrize(
    ("quantize", "message"),
    [
        (
            "a: {method: lut, function: ['tables.py:f']}",
            "3: quantize.a: 'a-tables.py:f' cannot be a file name: use letters, digits, '.', '-' and '_', a letter or digit first; write a `name:` for it",
        ),
        ("Source: {method: linear}", "3: quantize.Source: the name 'Source' is taken: it stands for the source"),
        ("a: {matrix: {bits: [1, 2], exclude: 3}, method: linear}", "39: quantize.a.matrix.exclude: expected a list of keys and values"),
        (f"a: {{matrix: {{bits: {MANY}, skip: {MANY}}}, method: linear}}", "7: quantize.a.matrix: makes 40000 variants; the most is 10000"),
        (
            f"a: {{method: linear, minimum_elements: {MANY}, minimum_snr_db: {MANY}}}",
            "3: quantize.a: makes 40000 variants; the most is 10000",
        ),
        ("a: [{method: linear}, 3]", "25: quantize.a[1]: expected a step such as {method: linear, bits: 8}, got 3"),
        ("a: [{method: linear}, {method: linear, bits: many}]", "48: quantize.a[1].bits: expected a whole number, got 'many'"),
    ],
)
def test_what_it_cannot_declare(quantize: str, message: str, mistakes_of: Callable[[str], list[str]]) -> None:
    assert mistakes_of(f"{BASE}quantize:\n  {quantize}\n") == [f"recipe.yaml:4:{message}"]


def test_inside_text_a_matrix_and_the_variables_meet(plan_of: Callable[[str], Plan]) -> None:
    recipe = BASE + "vars: {w: q}\nquantize:\n  v: {matrix: {n: [3, 4]}, method: linear, skip: ['h${n}-${w}', '$${n}']}\n"
    assert {variant.name: variant.steps[0].skip for variant in plan_of(recipe).variants} == {"v-3": ["h3-q", "${n}"], "v-4": ["h4-q", "${n}"]}
