"""An audit says what it looked at."""

import numpy as np

from symdata.inspection.source_audit import audit_source


def test_a_reference_is_named_as_it_was_given():
    assert "of glyphs:OX (train)" in str(audit_source("glyphs:OX", limit=200, group="d1"))


def test_images_in_memory_are_named_by_what_a_manifest_calls_them():
    images = np.random.default_rng(0).integers(0, 256, (200, 12, 12), np.uint8)
    found = audit_source((images, ["a", "b"] * 100), group="d1")
    assert "of memory:arrays (train)" in str(found)
