"use strict";
// Canvases: inputs as pictures, and what all that is drawn needs.

/**
 * Paint a sample on a canvas, a pixel each.
 *
 * @param {HTMLCanvasElement} canvas gets the picture's size
 * @param {object} image how an input becomes a picture
 * @param {number[]} values one sample, as the network reads it
 */
function paint(canvas, image, values) {
    const {layout, channels, height, width, mean, std, low, high} = image;
    const pixels = new ImageData(width, height);
    const span = high - low || 1;
    for (let place = 0; place < height * width; place++) {
        for (let colour = 0; colour < 3; colour++) {
            const channel = channels === 1 ? 0 : colour;
            const value = values[layout === "NCHW" ? channel * height * width + place : place * channels + channel];
            pixels.data[4 * place + colour] = 255 * (value * std[channel] + mean[channel] - low) / span;
        }
        pixels.data[4 * place + 3] = 255;
    }
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** Make a canvas as fine as the screen; gives its context, which counts in CSS pixels, and its size in these. */
function prepare(canvas) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    const context = canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    return {context, width, height};
}

/** Draw again when an element's size or the colours change. */
function whenLooksChange(element, draw) {
    new ResizeObserver(draw).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", draw);
}
