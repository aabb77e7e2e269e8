"""A check that a picture shows something."""


def assert_drawn(picture):
    """Assert that the file holds a large picture with many colours, and no empty quarter."""
    from matplotlib.image import imread

    pixels = imread(picture)[:, :, :3]
    assert min(pixels.shape[:2]) > 500
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, 3).round(2)}) > 20
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    for quarter in (
        pixels[:height, :width],
        pixels[:height, width:],
        pixels[height:, :width],
        pixels[height:, width:],
    ):
        assert quarter.std() > 0.02
