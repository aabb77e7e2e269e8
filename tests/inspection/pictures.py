"""What makes a picture one: used where something is drawn."""


def assert_drawn(picture):
    """Large enough to be looked at, neither blank nor one-coloured."""
    from matplotlib.image import imread

    pixels = imread(picture)[:, :, :3]
    assert min(pixels.shape[:2]) > 500
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, 3).round(2)}) > 20
    # Something in every quarter of it.
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    for quarter in (
        pixels[:height, :width],
        pixels[:height, width:],
        pixels[height:, :width],
        pixels[height:, width:],
    ):
        assert quarter.std() > 0.02
