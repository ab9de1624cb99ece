"""Classes of matplotlib and Pillow."""

from __future__ import annotations

from support.classes.cases import Library

MATPLOTLIB = Library(
    "matplotlib",
    """
    import io
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt, numpy as np
    from matplotlib import cm, colors, gridspec, patches, path, ticker, transforms
    def drawn(figure):
        file = io.BytesIO()
        figure.savefig(file, format='png', dpi=40)
        return file.getvalue()
    def subplot():
        return plt.figure(figsize=(3, 2)).add_subplot()
    """,
    "drawn(a.get_figure()) == drawn(b.get_figure())",
)
PILLOW = Library(
    "Pillow",
    "import io\nfrom PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImagePalette",
)


def drawings() -> None:
    """Declare matplotlib's figures and what is in them: the same if they are drawn the same."""
    lib = MATPLOTLIB
    lib(
        "x = plt.figure(figsize=(3, 2))\naxes = x.add_subplot()\naxes.plot([1, 3, 2])",
        "axes.plot([3, 1, 2]); axes.set_title('t')",
        "drawn(a) == drawn(b)",
        keeps="x.axes[0] is axes and axes.figure is x",
    )
    lib("x = subplot()\nfig = x.figure", "x.scatter([1, 2], [3, 4])", keeps="fig.axes[0] is x")
    lib(
        "ax = subplot()\nx, = ax.plot([1, 2, 3])",
        "x.set_ydata([3, 2, 1 + len(x.get_color())])",
        keeps="ax.lines[0] is x",
    )
    lib(
        "ax = subplot()\nx = ax.imshow(np.eye(3))",
        "x.set_data(np.arange(9.0).reshape(3, 3))",
        keeps="ax.images[0] is x",
    )
    lib("ax = subplot()\nx = ax.scatter([1, 2], [3, 4])", "x.set_sizes([200])")
    lib(
        "ax = subplot()\nx = ax.bar([1, 2], [3, 4])",
        "x[0].set_height(9)",
        "drawn(a[0].get_figure()) == drawn(b[0].get_figure())",
    )
    lib("x = subplot().text(0.2, 0.2, 'one')", "x.set_text(x.get_text() + '!')")
    lib("ax = subplot()\nax.plot([1], label='l')\nx = ax.legend()", "x.set_title('T')")
    lib("x = subplot().annotate('a', (0.5, 0.5))", "x.set_color('red')")
    lib("x = subplot().fill_between([1, 2], [1, 2])", "x.set_facecolor('red')")
    lib("x = subplot().add_patch(patches.Rectangle((0, 0), 0.5, 0.5))", "x.set_width(0.8)")
    lib("x = subplot().add_patch(patches.Circle((0.5, 0.5), 0.2))", "x.set_radius(0.4)")
    lib("x = subplot().add_patch(patches.Polygon([[0, 0], [1, 1], [1, 0]]))", "x.set_facecolor('red')")
    lib(
        "fig = plt.figure(figsize=(3, 2))\nx = fig.add_subplot(projection='polar')",
        "x.plot([1, 2], [3, 4])",
        keeps="fig.axes == [x]",
    )
    lib(
        "fig = plt.figure(figsize=(3, 2))\nx = fig.add_subplot(projection='3d')",
        "x.plot([1, 2], [3, 4], [5, 6])",
    )
    lib(
        "fig = plt.figure(figsize=(3, 2))\nx = fig.subfigures(1, 2)[0]",
        "x.suptitle('left')",
        "drawn(a.figure) == drawn(b.figure)",
    )
    lib(
        "fig = plt.figure(figsize=(3, 2))\nx = fig.colorbar(cm.ScalarMappable(), fig.add_subplot())",
        "x.ax.set_title('bar')",
        "drawn(a.ax.figure) == drawn(b.ax.figure)",
    )
    lib.fixed("gridspec.GridSpec(2, 2)", "gridspec.GridSpec(3, 1)", "a.get_geometry() == b.get_geometry()")
    lib(
        "colors.ListedColormap(['red', 'blue'])",
        "x.set_bad('green')",
        "a(np.array([0.1, np.nan])).tolist() == b(np.array([0.1, np.nan])).tolist()",
    )
    lib(
        "colors.LinearSegmentedColormap.from_list('m', ['red', 'blue'])",
        "x.set_over('green')",
        "a(5.0) == b(5.0)",
    )
    lib("colors.Normalize(0, 1)", "x.vmax = 2 + x.vmax", "a(0.5) == b(0.5)")
    lib("colors.LogNorm(1, 10)", "x.vmax = 20 + x.vmax", "a(5.0) == b(5.0)")
    lib("path.Path([[0, 0], [1, 1]])", "x.vertices[0] = [5, 5]", "a.vertices.tolist() == b.vertices.tolist()")
    lib("transforms.Affine2D()", "x.rotate(1).translate(2, 3)", "a == b")
    lib(
        "ticker.MaxNLocator(3)",
        "x.set_params(nbins=9)",
        "a.tick_values(0, 1).tolist() == b.tick_values(0, 1).tolist()",
    )
    lib("matplotlib.RcParams({'lines.linewidth': 2.0})", "x['lines.linewidth'] = 4.0", "dict(a) == dict(b)")


def images() -> None:
    """Declare Pillow's images, and what works on them."""
    lib = PILLOW
    same = "a.mode == b.mode and a.size == b.size and a.tobytes() == b.tobytes()"
    for mode in ("RGB", "L", "RGBA", "P"):
        lib(
            f"Image.new('{mode}', (8, 8))",
            "x.putpixel((1, 2), 9)" if mode in "LP" else "x.putpixel((1, 2), (9, 8, 7))",
            same,
            note=mode,
        )
    lib(
        "file = io.BytesIO(); Image.new('RGB', (4, 4), 'red').save(file, 'PNG'); x = Image.open(file)\ndel file",
        "x.load(); x.putpixel((0, 0), (1, 2, 3))",
        same,
    )
    lib(
        "ImagePalette.ImagePalette('RGB', list(range(30)))", "x.palette[0] = 99", "a.tobytes() == b.tobytes()"
    )
    lib("Image.Exif()", "x[271] = 'maker'", "dict(a) == dict(b)")
    lib("ImageFilter.GaussianBlur(2)", "x.radius = 5", "a.radius == b.radius")
    lib(
        "ImageFilter.Kernel((3, 3), range(9))",
        "x.filterargs = (*x.filterargs[:1], 2, 0, x.filterargs[3])",
        "a.filterargs == b.filterargs",
    )
    lib(
        "ImageEnhance.Color(Image.new('RGB', (4, 4), 'red'))",
        "x.image.putpixel((0, 0), (1, 2, 3))",
        "a.enhance(0.5).tobytes() == b.enhance(0.5).tobytes()",
    )
    font = "ImageFont.truetype(__import__('matplotlib').get_data_path() + '/fonts/ttf/DejaVuSans.ttf', {})"
    lib.fixed(font.format(10), font.format(20), "a.getbbox('text') == b.getbbox('text')")
    lib.refused(
        "ImageDraw.Draw(Image.new('L', (4, 4)))",
        "it stands for memory of an image",
        "ImagingDraw|ImagingCore",
    )


drawings()
images()
LIBRARIES = (
    MATPLOTLIB,
    PILLOW,
)
