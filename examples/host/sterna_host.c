/* A host for a board with a Sterna accelerator, in C99, after docs/protocol.md: for a microcontroller as for a PC.
 *
 * No allocation, no file, no clock: bytes go through the two functions of `struct sterna_host`. State and buffers take
 * less than 700 bytes. `frames` and `results` are bytes as docs/protocol.md lays them out ("Registers").
 *
 *     struct sterna_host host = {.get = get, .put = put, .context = &uart};
 *     if (sterna_meet(&host) == STERNA_OK)
 *         status = sterna_predict(&host, frames, count, results);
 */
#include <stdint.h>
#include <string.h>

enum { STERNA_OK = 0, STERNA_SILENT = -1, STERNA_STRANGER = -2, STERNA_LOST = -3, STERNA_REFUSED = -4 };
enum { OPEN = 1, DATA = 2, POLL = 3, READ = 4, LOAD = 5, LOAD_LAST = 6, RESULT = 0x81, REGISTERS = 0x84 };
enum { MOST = 253, CARRIED = 245, PAGE = 32, ASKS = 4, TRIES = 4, SESSIONS = 24, ANSWER = 0x40, AGAIN = 0x80 };
enum { TAG = 4, DIGEST = 32, DIGEST_PAGE = 4 };

struct sterna_host {
    /* The next byte of the line, or -1 after silence of a time that is longer than that of all packets that fit the
     * board (registers[5] of 256 bytes), there and back. */
    int (*get)(void *context);
    void (*put)(void *context, uint8_t octet);
    void *context;
    /* After sterna_meet: the board's registers, without the counters. */
    uint8_t registers[3 * PAGE];
    uint32_t frame_bytes, result_bytes;
    /* For itself. */
    uint8_t session, opened;
    uint16_t count; /* of the bytes in `line` */
    uint8_t line[MOST + 1];
};

static uint32_t crc_of(const uint8_t *content, uint32_t length)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t k = 0; k < length; k++) {
        crc ^= content[k];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static uint32_t word_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Sends a packet. What it carries, of frames or of a network, comes behind its length. */
static void send(struct sterna_host *host, uint8_t kind, uint8_t sequence, const uint8_t *carried, uint8_t length)
{
    uint8_t body[MOST] = {kind, host->session, sequence};
    uint32_t size = 3;
    if (carried) {
        body[size++] = length;
        memcpy(body + size, carried, length);
        size += length;
    }
    uint32_t crc = crc_of(body, size);
    for (int k = 0; k < 4; k++)
        body[size++] = (uint8_t)(crc >> 8 * k);
    if (!carried)
        host->put(host->context, 0); /* what came before, if it was cut, ends here */
    for (uint32_t from = 0; from <= size;) {
        uint32_t to = from;
        while (to < size && body[to])
            to++;
        host->put(host->context, (uint8_t)(to - from + 1));
        while (from < to)
            host->put(host->context, body[from++]);
        from = to + 1;
    }
    host->put(host->context, 0);
}

/* Undoes COBS from the end: every code but the last one stands where a zero was. The body's length, or -1. */
static int unstuff(uint8_t *line, int count)
{
    for (int place = count - 1; place >= 0;) {
        int code = line[place];
        if (code == 0 || code > place + 1)
            return -1;
        if (place != count - 1)
            line[place] = 0;
        place -= code;
    }
    return count - 1;
}

enum { QUIET = -1, DAMAGED = -2 };

/* Waits for a packet; the length of its body in `line`, without the CRC, or QUIET, or DAMAGED. */
static int receive(struct sterna_host *host)
{
    for (;;) {
        int octet = host->get(host->context);
        if (octet < 0)
            return QUIET;
        if (octet) {
            if (host->count <= MOST)
                host->line[host->count] = (uint8_t)octet;
            host->count += host->count <= MOST + 1;
            continue;
        }
        int count = host->count;
        host->count = 0;
        if (count == 0)
            continue;
        int length = count > MOST + 1 ? -1 : unstuff(host->line, count);
        if (length < 7 || word_at(host->line + length - 4) != crc_of(host->line, (uint32_t)length - 4))
            return DAMAGED;
        return length - 4;
    }
}

/* Asks until the answer is there; STERNA_SILENT if it never is. */
static int ask(struct sterna_host *host, uint8_t kind, uint8_t sequence)
{
    for (int tries = 0; tries < ASKS; tries++) {
        send(host, kind, sequence, 0, 0);
        for (int length; (length = receive(host)) != QUIET;) {
            const uint8_t *line = host->line;
            if (length == DAMAGED)
                continue;
            if (kind == READ && line[0] == REGISTERS && line[2] == sequence && length == 3 + PAGE)
                return STERNA_OK;
            if (kind == POLL && line[0] == RESULT && length >= 5 && line[length - 1] & ANSWER)
                return STERNA_OK;
        }
    }
    return STERNA_SILENT;
}

static uint32_t stream_bytes(const uint8_t *port)
{
    uint32_t beat = word_at(port + 4), sides = port[3], runs = 1;
    if (sides == 3)
        runs = word_at(port + 8) * word_at(port + 12);
    uint32_t run = word_at(port + 8 + 4 * (sides - 1));
    return runs * ((run + beat - 1) / beat) * beat * port[2];
}

/* Who is there: fills `registers`, `frame_bytes` and `result_bytes`. registers[16 ... 47] are the network's digest. */
int sterna_meet(struct sterna_host *host)
{
    while (host->get(host->context) >= 0) {
    }
    host->count = host->opened = host->session = 0;
    for (uint8_t page = 0; page < 3; page++) {
        if (ask(host, READ, page) != STERNA_OK)
            return STERNA_SILENT;
        memcpy(host->registers + PAGE * page, host->line + 3, PAGE);
    }
    if (memcmp(host->registers, "STRN\1", 5))
        return STERNA_STRANGER;
    host->frame_bytes = stream_bytes(host->registers + 48);
    host->result_bytes = stream_bytes(host->registers + 68);
    return STERNA_OK;
}

/* Begins a session; how many packets the board takes, or STERNA_SILENT. */
static int begin(struct sterna_host *host)
{
    if (!host->opened) {
        if (ask(host, POLL, 0) != STERNA_OK)
            return STERNA_SILENT;
        host->session = host->line[1];
        host->opened = 1;
    }
    for (int tries = 0; tries < ASKS; tries++) {
        host->session = host->session % 255 + 1;
        send(host, OPEN, 0, 0, 0);
        for (int length; (length = receive(host)) != QUIET;) {
            const uint8_t *line = host->line;
            if (length == 5 && line[0] == RESULT && line[1] == host->session && line[2] == 0 && line[3] == 0)
                return line[4] & 63;
        }
    }
    return STERNA_SILENT;
}

/* One session from `content` on: frames, to which results are owed, or a network, to which none are. Gives the bytes of
 * results that came; of a network, whether the board has all of it. */
static uint32_t converse(
    struct sterna_host *host, const uint8_t *content, uint32_t size, uint8_t *results, uint32_t owed, int free)
{
    uint32_t known = 0, sent = 0, packets = (size + CARRIED - 1) / CARRIED, came = 0;
    uint8_t sequence = 1, holding = 0, silent = 0, tries = 0;
    while (owed ? came < owed : known < packets) {
        while (!holding && sent < packets && sent < known + (uint32_t)free) {
            uint32_t left = size - CARRIED * sent, length = left < CARRIED ? left : CARRIED;
            uint8_t kind = owed ? DATA : sent < packets - 1 ? LOAD : LOAD_LAST;
            send(host, kind, (uint8_t)sent, content + CARRIED * sent, (uint8_t)length);
            sent++;
        }
        int length = receive(host), wants = length < 0;
        silent = length == QUIET ? silent + 1 : 0;
        if (silent > ASKS)
            return came;
        if (length >= 0 && host->line[0] == RESULT) {
            const uint8_t *line = host->line;
            uint32_t more = (uint32_t)length - 5;
            if (length < 5 || line[1] != host->session || (owed && line[2] != sequence) || more > owed - came)
                return came;
            sequence++;
            memcpy(results + came, line + 3, more);
            came += more;
            uint32_t taken = known + (uint8_t)(line[length - 2] - known);
            uint8_t state = line[length - 1];
            tries = taken > known ? 0 : tries + (state & ANSWER && sent > known);
            if (taken > sent || tries > TRIES)
                return came;
            known = taken;
            free = state & 63;
            if (state & ANSWER) {
                holding = 0;
                sent = known;
            } else {
                wants = state & AGAIN;
            }
        }
        if (wants && (owed ? came < owed : known < packets) && (!holding || length == QUIET)) {
            send(host, POLL, 0, 0, 0);
            holding = 1;
        }
    }
    return owed ? came : 1;
}

/* Computes `count` frames. Returns STERNA_OK only if `results` has the results of all of them. */
int sterna_predict(struct sterna_host *host, const uint8_t *frames, uint32_t count, uint8_t *results)
{
    uint32_t done = 0;
    for (int lost = 0; done < count;) {
        int free = begin(host);
        if (free < 0)
            return free;
        uint32_t left = count - done;
        uint32_t came = converse(host, frames + done * host->frame_bytes, left * host->frame_bytes,
                                 results + done * host->result_bytes, left * host->result_bytes, free);
        lost = came < host->result_bytes ? lost + 1 : 0;
        if (lost >= SESSIONS)
            return STERNA_LOST;
        done += came / host->result_bytes;
    }
    return STERNA_OK;
}

/* Gives the board another network: `content` is what `sterna load -o FILE` wrote: the tag of the board's design,
 * the network's digest and the words. Returns STERNA_OK only if the board says that this network answers, and
 * STERNA_REFUSED if it does not take it, or the file is for another design. */
int sterna_load(struct sterna_host *host, const uint8_t *content, uint32_t size)
{
    if (!(host->registers[7] & 1) || size != TAG + DIGEST + word_at(host->registers + 88) ||
        memcmp(content, host->registers + 92, TAG))
        return STERNA_REFUSED;
    content += TAG;
    size -= TAG;
    for (int lost = 0; lost < SESSIONS; lost++) {
        int free = begin(host);
        if (free < 0)
            return free;
        if (!converse(host, content, size, 0, 0, free))
            continue;
        for (int tries = 0; tries < ASKS; tries++) {
            if (ask(host, READ, DIGEST_PAGE) != STERNA_OK)
                return STERNA_SILENT;
            if (!memcmp(host->line + 3, content, DIGEST))
                return STERNA_OK;
        }
    }
    return STERNA_LOST;
}
