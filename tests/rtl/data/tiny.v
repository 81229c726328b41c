// A two-layer accelerator written by hand, with the ports and the behavior of a generated one: what judges the benches.
// fc1 takes 4 codes (u4), sends channels 2, 0, 1 (channel 3 is constant); fc2 sends 2 scores in natural order.

module tiny_fc1(
  input clk, input rst,
  input i__valid, output i__ready, input [3:0] i__payload, input i__last, output reg error,
  output o__valid, input o__ready, output [1:0] o__payload
);
  reg [1:0] column = 0;
  reg [1:0] row = 0;
  reg full = 0;
  reg skip = 0;
  reg signed [7:0] s0 = 0, s1 = 0, s2 = 0;
  wire signed [7:0] x = {4'b0, i__payload};

  wire take = i__valid & i__ready;
  wire transfer = o__valid & o__ready;
  assign i__ready = ~full;
  assign o__valid = full;

  wire [1:0] y0 = (s0 >= -5) + (s0 >= 0) + (s0 >= 7);
  wire [1:0] y1 = (s1 >= -3) + (s1 >= 1) + (s1 >= 4);
  wire [1:0] y2 = (s2 >= 9) + (s2 >= 30) + (s2 >= 44);
  assign o__payload = row == 0 ? y2 : row == 1 ? y0 : y1;

  always @(posedge clk) begin
    error <= 0;
    if (take) begin
      column <= column + 1;
      s0 <= (column == 0 ? 8'sd0 : s0) + (column == 0 || column == 3 ? x : column == 1 ? -x : 8'sd0);
      s1 <= (column == 0 ? 8'sd0 : s1) + (column == 3 ? x : column == 2 ? -x : 8'sd0);
      s2 <= (column == 0 ? 8'sd0 : s2) + x;
      if (skip) begin
        column <= 0;
        if (i__last) skip <= 0;
      end else if (i__last != (column == 3)) begin
        column <= 0;
        error <= 1;
        skip <= ~i__last;
      end else if (i__last) full <= 1;
    end
    if (transfer) begin
      row <= row == 2 ? 0 : row + 1;
      if (row == 2) full <= 0;
    end
    if (rst) begin
      column <= 0;
      row <= 0;
      full <= 0;
      skip <= 0;
      error <= 0;
    end
  end
endmodule

module tiny_fc2(
  input clk, input rst,
  input i__valid, output i__ready, input [1:0] i__payload,
  output o__valid, input o__ready, output [4:0] o__payload, output o__last
);
  reg [1:0] column = 0;
  reg row = 0;
  reg full = 0;
  reg signed [4:0] s0 = 0, s1 = 0;
  wire signed [4:0] x = {3'b0, i__payload};

  wire take = i__valid & i__ready;
  wire transfer = o__valid & o__ready;
  assign i__ready = ~full;
  assign o__valid = full;
  assign o__payload = row == 0 ? s0 : s1;
  assign o__last = row == 1;

  always @(posedge clk) begin
    if (take) begin
      column <= column == 2 ? 0 : column + 1;
      s0 <= column == 0 ? -5'sd2 + x : column == 1 ? s0 + x : s0 - x;
      s1 <= column == 0 ? 5'sd4 + x : column == 1 ? s1 - x : s1;
      if (column == 2) full <= 1;
    end
    if (transfer) begin
      row <= ~row;
      if (row) full <= 0;
    end
    if (rst) begin
      column <= 0;
      row <= 0;
      full <= 0;
    end
  end
endmodule

module tiny(
  input clk, input rst,
  input [7:0] s_axis_tdata, input s_axis_tvalid, output s_axis_tready, input s_axis_tlast,
  output [7:0] m_axis_tdata, output m_axis_tvalid, input m_axis_tready, output m_axis_tlast,
  output frame_error
);
  wire hidden_valid, hidden_ready;
  wire [1:0] hidden;
  wire [4:0] score;

  tiny_fc1 fc1(
    .clk(clk), .rst(rst),
    .i__valid(s_axis_tvalid), .i__ready(s_axis_tready), .i__payload(s_axis_tdata[3:0]), .i__last(s_axis_tlast),
    .error(frame_error), .o__valid(hidden_valid), .o__ready(hidden_ready), .o__payload(hidden)
  );
  tiny_fc2 fc2(
    .clk(clk), .rst(rst), .i__valid(hidden_valid), .i__ready(hidden_ready), .i__payload(hidden),
    .o__valid(m_axis_tvalid), .o__ready(m_axis_tready), .o__payload(score), .o__last(m_axis_tlast)
  );
  assign m_axis_tdata = {{3{score[4]}}, score};
endmodule
