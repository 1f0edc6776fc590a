"use strict";
// The course of the scores: a line for each class, a point for each timestep.

class Course {
    /** @param {HTMLCanvasElement} canvas as wide as the list of winners below it, a column a timestep */
    constructor(canvas, scores, timesteps) {
        this.canvas = canvas;
        this.scores = scores;
        this.timesteps = timesteps;
        this.history = [];
        whenLooksChange(canvas, () => this.draw());
    }

    /** @param {number[][]} history scores after each timestep so far */
    show(history) {
        this.history = history;
        this.draw();
    }

    draw() {
        const {canvas, history, timesteps} = this;
        const {context, width, height} = prepare(canvas);
        const latest = history.at(-1);
        const named = latest ? this.scores.name(winnerOf(latest)) : "none yet";
        canvas.ariaLabel = `Scores after each of ${history.length} timesteps; the highest: ${named}`;
        if (!latest) return;
        const style = getComputedStyle(canvas);
        const [low, high] = extent([0, ...history.flat().filter(Number.isFinite)]);
        const across = (time) => (time + 0.5) / timesteps * width;
        const down = (score) => height - 6 - (score - low) / (high - low || 1) * (height - 12);
        context.fillStyle = style.getPropertyValue("--line");
        context.fillRect(0, Math.round(down(0)), width, 1);
        const winner = winnerOf(latest);
        for (const index of [...this.scores.chosen(latest).filter((other) => other !== winner), winner]) {
            const wins = index === winner;
            context.strokeStyle = context.fillStyle = style.getPropertyValue(wins ? "--accent" : "--quiet");
            context.lineWidth = wins ? 3 : 1;
            context.beginPath();
            history.forEach((scores, time) => context.lineTo(across(time), down(scores[index])));
            context.stroke();
            const [x, y] = [across(history.length - 1), down(latest[index])];
            context.beginPath();
            context.arc(x, y, wins ? 4.5 : 2, 0, 7);
            context.fill();
        }
    }
}
