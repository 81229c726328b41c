// Sends images from images.hex (one code a line, 64 an image) and compares the LED with expected.hex (0 or 1 an image).
// `embed.py` writes both files and runs this.
`timescale 1ns / 1ps
module blink_on_class_tb;
  localparam IMAGES = 40, PIXELS = 64;
  reg        clk = 0, rst = 1;
  reg  [7:0] pixels [0:IMAGES*PIXELS-1];
  reg        expected [0:IMAGES-1];
  integer    sent = 0, got = 0, wrong = 0;
  wire       pixel_ready, led, seen, dropped;

  always #5 clk = ~clk;

  blink_on_class dut (
    .clk(clk), .rst(rst),
    .pixel(pixels[sent % (IMAGES*PIXELS)]), .pixel_valid(!rst && sent < IMAGES*PIXELS),
    .pixel_last(sent % PIXELS == PIXELS - 1), .pixel_ready(pixel_ready),
    .led(led), .seen(seen), .dropped(dropped)
  );

  initial begin
    $readmemh("images.hex", pixels);
    $readmemh("expected.hex", expected);
    repeat (4) @(posedge clk);
    rst <= 0;
  end

  always @(posedge clk) if (!rst) begin
    if (pixel_ready && sent < IMAGES*PIXELS) sent <= sent + 1;
    if (dropped) begin $display("FAIL: an image was dropped"); $finish; end
    if (seen) begin
      if (led !== expected[got]) wrong = wrong + 1;
      got = got + 1;
      if (got == IMAGES) begin
        if (wrong == 0) $display("PASS: %0d images, the LED was right on each", IMAGES);
        else            $display("FAIL: the LED was wrong on %0d of %0d images", wrong, IMAGES);
        $finish;
      end
    end
  end

  initial begin
    #10_000_000 $display("FAIL: only %0d of %0d images came out", got, IMAGES);
    $finish;
  end
endmodule
