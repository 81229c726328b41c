// An accelerator inside a design of one's own: an LED is lit while the network sees a chosen class.
//
//   sterna generate models/digits-mlp.safetensors --argmax --name digits --output build/embed
//   iverilog -g2005 -o build/embed/sim build/embed/digits.v examples/embed/*.v && vvp build/embed/sim
//
// The accelerator is one module with two AXI4-Streams. Pixels go in, one a byte, `pixel_last` with the last of an image;
// the class comes out. Reset is synchronous and active high.
module blink_on_class #(parameter [7:0] CLASS = 8'd7) (
  input  wire       clk,
  input  wire       rst,
  input  wire [7:0] pixel,
  input  wire       pixel_valid,
  input  wire       pixel_last,
  output wire       pixel_ready,
  output reg        led,
  output reg        seen,     // one cycle an image
  output reg        dropped   // one cycle an image with the wrong number of pixels
);
  wire [7:0] class_index;
  wire       class_valid;
  wire       frame_error;

  digits accelerator (
    .clk(clk),
    .rst(rst),
    .s_axis_tdata(pixel),
    .s_axis_tvalid(pixel_valid),
    .s_axis_tready(pixel_ready),
    .s_axis_tlast(pixel_last),
    .m_axis_tdata(class_index),
    .m_axis_tvalid(class_valid),
    .m_axis_tready(1'b1),       // always ready to take a class
    .m_axis_tlast(),
    .frame_error(frame_error)
  );

  always @(posedge clk) begin
    seen    <= class_valid & ~rst;
    dropped <= frame_error & ~rst;
    if (rst)              led <= 1'b0;
    else if (class_valid) led <= class_index == CLASS;
  end
endmodule
