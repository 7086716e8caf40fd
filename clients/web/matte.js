// Colour and matte, side by side in one video, become one picture with a transparent background.

const VERTEX = `
attribute vec2 corner;
varying vec2 at;
void main() { at = vec2(corner.x, -corner.y) * 0.5 + 0.5; gl_Position = vec4(corner, 0.0, 1.0); }`;

// The encoder's noise must neither veil the background nor thin the face: a little of either end of the matte is cut.
const FRAGMENT = `
precision mediump float;
uniform sampler2D video;
uniform float paired;
varying vec2 at;
void main() {
  vec3 colour = texture2D(video, vec2(at.x * mix(1.0, 0.5, paired), at.y)).rgb;
  float grey = texture2D(video, vec2(0.5 + 0.5 * at.x, at.y)).g;
  float alpha = mix(1.0, clamp((grey - 0.06) / 0.88, 0.0, 1.0), paired);
  gl_FragColor = vec4(colour * alpha, alpha);
}`;

export class Matte {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl", { alpha: true, premultipliedAlpha: true, antialias: false });
    if (!gl) throw new Error("This browser has no WebGL.");
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.paired = gl.getUniformLocation(program, "paired");
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  }

  /** Draw a video's picture; one that is not twice as wide as high has no matte and is shown as it is. */
  draw(video) {
    const { gl, canvas } = this;
    const { videoWidth: width, videoHeight: height } = video;
    if (!height) return;
    const paired = width === 2 * height;
    const side = paired ? height : width;
    if (canvas.width !== side) canvas.width = side;
    if (canvas.height !== height) canvas.height = height;
    gl.viewport(0, 0, side, height);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, video);
    gl.uniform1f(this.paired, paired ? 1 : 0);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  clear() {
    this.gl.clear(this.gl.COLOR_BUFFER_BIT);
  }
}
