// Small plots, without a style attribute: the page's policy for content has no place for one.

const namespace = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
	const element = document.createElementNS(namespace, name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	return element;
}

// A line of the latest values, the newest at the right. There is room for `room` of them.
export function line(svg, values, room) {
	const most = Math.max(...values, 1e-9);
	const points = values.map((value, index) => {
		const x = 100 - (values.length - 1 - index) * (100 / (room - 1));
		return `${x.toFixed(2)} ${(29 - (value / most) * 27).toFixed(2)}`;
	});
	svg.replaceChildren(shape("path", { d: `M${points.join("L")}` }));
}

// A bar for each value; those beyond `most` are as high as that.
export function bars(svg, values, room, most) {
	const width = 100 / room;
	svg.replaceChildren(...values.map((value, index) => {
		const height = Math.max(Math.min(value / most, 1) * 40, 0.5);
		return shape("rect", { x: index * width, y: 40 - height, width: width * 0.7, height });
	}));
}
