"""How Sphinx builds these pages: `make docs`."""

import os
import sys
from pathlib import Path

import fastbp

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
sys.path.append(str(HERE / "extensions"))
# Where examples/_data.py looks too; the examples of the gallery also run without these data.
os.environ.setdefault("FASTBP_DATA", str(EXAMPLES.parents[1] / "shared" / "data"))

project = "fastbp"
author = "The fastbp developers"
version = release = fastbp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "fit_picture",
    "browser_page",
    "cost_picture",
]
templates_path = ["templates"]
exclude_patterns = ["build", "templates", "gallery/**/*.ipynb", "gallery/**/*.py"]
default_role = "code"
autodoc_default_options = {
    # scikit-learn adds these to every estimator; their docstrings link to scikit-learn's pages.
    "exclude-members": "get_metadata_routing, get_params, set_output, set_params, "
    + ", ".join(
        f"set_{name}_request" for name in ("fit", "partial_fit", "predict", "resume", "score")
    ),
}
toc_object_entries_show_parents = "hide"  # the sidebar has room for fit(), not for more
autodoc_typehints = "none"  # numpydoc shows the type beside each parameter
numpydoc_show_class_members = False  # templates/autosummary shows them, each with its docstring
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = f"fastbp {version}"
html_static_path = ["static"]
html_css_files = ["fastbp.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "changes": []}
html_theme_options = {
    "logo": {"text": "fastbp"},
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
copyright = f"{author}, BSD-3-Clause"

sphinx_gallery_conf = {
    "examples_dirs": str(EXAMPLES),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",  # the demos for the command line, and helpers
    "within_subsection_order": "reading_order.ReadingOrder",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("fastbp",),
    "capture_repr": (),  # show prints and figures of an example, not the values of its lines
    "image_srcset": ["2x"],
    "min_reported_time": 1,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
}
