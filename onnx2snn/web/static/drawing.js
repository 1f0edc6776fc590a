"use strict";
// A canvas to draw an input on, by mouse, pen or finger.

/** Pixels that one pixel of the input is averaged from, along each axis. */
const FINE = 16;

class Drawing {
    /**
     * @param {HTMLCanvasElement} canvas where the user draws
     * @param {object} image the input's picture: its size, and in `drawing` how the samples look
     * @param {(values: Float32Array | null) => void} changed called after each stroke with the input, and
     *     with null once the canvas is clear
     */
    constructor(canvas, image, changed) {
        this.canvas = canvas;
        this.image = image;
        this.changed = changed;
        /** Points [x, y] as shares of the larger side, for each stroke. */
        this.strokes = [];
        /** Width of the pen, as a share of the larger side: a bit more than one pixel of a small picture. */
        this.pen = Math.max(0.1, 1.1 / Math.max(image.width, image.height));
        const scale = 256 / Math.max(image.width, image.height);
        canvas.width = image.width * scale;
        canvas.height = image.height * scale;
        canvas.addEventListener("pointerdown", (event) => this.begin(event));
        canvas.addEventListener("pointermove", (event) => this.move(event));
        for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.end());
        this.show();
    }

    /** Forget all strokes. */
    clear() {
        this.strokes = [];
        this.show();
        this.changed(null);
    }

    begin(event) {
        event.preventDefault();
        this.canvas.setPointerCapture(event.pointerId);
        this.current = [this.place(event)];
        this.strokes.push(this.current);
        this.show();
    }

    move(event) {
        if (!this.current) return;
        const events = event.getCoalescedEvents?.() ?? [];
        for (const part of events.length ? events : [event]) this.current.push(this.place(part));
        this.show();
    }

    end() {
        if (!this.current) return;
        this.current = null;
        this.changed(this.values());
    }

    place(event) {
        const box = this.canvas.getBoundingClientRect();
        const side = Math.max(box.width, box.height);
        return [(event.clientX - box.left) / side, (event.clientY - box.top) / side];
    }

    show() {
        const {canvas} = this;
        const context = canvas.getContext("2d");
        context.clearRect(0, 0, canvas.width, canvas.height);
        const side = Math.max(canvas.width, canvas.height);
        const {color, fontFamily} = getComputedStyle(canvas);
        if (this.strokes.length === 0) {
            Object.assign(context, {fillStyle: color, font: `24px ${fontFamily}`, textAlign: "center"});
            context.fillText("draw here", canvas.width / 2, canvas.height / 2);
        }
        this.render(context, color, ([x, y]) => [x * side, y * side], side * this.pen);
    }

    render(context, colour, map, width) {
        Object.assign(context, {strokeStyle: colour, lineWidth: width, lineCap: "round", lineJoin: "round"});
        for (const stroke of this.strokes) {
            context.beginPath();
            context.moveTo(...map(stroke[0]));
            for (const point of stroke) context.lineTo(...map(point));  // the first again: a dot has a length
            context.stroke();
        }
    }

    /** The drawing as an input: as large and in the same place as the samples, averaged down to its pixels. */
    values() {
        const {width, height, drawing} = this.image;
        const side = Math.max(width, height);
        const points = this.strokes.flat();
        const [left, right] = extent(points.map(([x]) => x));
        const [top, bottom] = extent(points.map(([, y]) => y));
        // The pen goes half its width beyond the points.
        const room = Math.max(drawing.size - this.pen, 0.01);
        const scale = Math.min(room / Math.max(right - left, bottom - top, 1e-6), 4);
        const map = ([x, y]) => [
            (drawing.x * width / side + (x - (left + right) / 2) * scale) * side * FINE,
            (drawing.y * height / side + (y - (top + bottom) / 2) * scale) * side * FINE,
        ];
        const context = new OffscreenCanvas(width * FINE, height * FINE).getContext("2d", {willReadFrequently: true});
        this.render(context, "black", map, this.pen * side * FINE);
        const alpha = context.getImageData(0, 0, width * FINE, height * FINE).data;
        const values = new Float32Array(width * height);
        for (let y = 0; y < height * FINE; y++) {
            for (let x = 0; x < width * FINE; x++) {
                const pixel = Math.floor(y / FINE) * width + Math.floor(x / FINE);
                values[pixel] += alpha[4 * (y * width * FINE + x) + 3] / 255 / FINE ** 2;
            }
        }
        return values.map((share) => drawing.paper + share * (drawing.ink - drawing.paper));
    }
}

/** The least and the greatest of some numbers. */
function extent(numbers) {
    return numbers.reduce(([low, high], n) => [Math.min(low, n), Math.max(high, n)], [Infinity, -Infinity]);
}
