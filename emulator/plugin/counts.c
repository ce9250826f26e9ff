/* QEMU TCG plugin: how often each instruction was executed between two markers, run by run and
 * part by part.
 *
 * Arguments: start=HEX,split=HEX,stop=HEX  addresses of the marker functions, bit 0 clear;
 *            code=HEX,bytes=HEX            the code whose instructions are told apart;
 *            out=FILE
 *
 * A run goes from the instruction after the one at `start` to the last one before the one at
 * `stop`; each instruction at `split` ends a part of it. The markers themselves are not counted, so
 * a marker that is a single return costs its caller the call and nothing else.
 *
 * FILE, written when the emulator ends:
 *     run TOTAL                     one line a run
 *     part N TOTAL ELSEWHERE        part N (0, 1, ...) of all runs together, what was executed
 *                                   outside of the code included
 *     at ADDRESS COUNT              (hexadecimal, decimal) for each instruction of that part
 *     end
 * What follows the last split is a part of its own.
 *
 * QEMU's plugin interface, version 1 (QEMU 4.2 to 8.x): distributions ship no header for it, so what
 * is used is declared here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct block;
struct instruction;

enum { INLINE_ADD_U64 = 0 };
enum { NO_REGISTERS = 0 };

EXPORT int qemu_plugin_version = 1;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
size_t qemu_plugin_tb_n_insns(const struct block *);
struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct instruction *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct instruction *, int operation, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *, void (*)(unsigned, void *), int registers,
                                            void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

/* Counts of one part: one for each half-word of the code, then one for everything else. */
typedef uint64_t *counts;

static uint64_t marker_start, marker_split, marker_stop, code, halfwords;
static FILE *out;

/* What translated code adds to. It counts always; a marker clears it. */
static counts current;
/* Finished parts, summed over the runs. */
static counts *parts;
static size_t parts_len, part;
static uint64_t run_total;
static int running;

static void fail(const char *why)
{
    fprintf(stderr, "counts plugin: %s\n", why);
    exit(1);
}

static counts new_counts(void)
{
    counts fresh = calloc(halfwords + 1, sizeof *fresh);
    if (!fresh)
        fail("out of memory");
    return fresh;
}

static void clear(void)
{
    memset(current, 0, (halfwords + 1) * sizeof *current);
}

static void end_part(void)
{
    if (part == parts_len) {
        parts = realloc(parts, (parts_len + 1) * sizeof *parts);
        if (!parts)
            fail("out of memory");
        parts[parts_len++] = new_counts();
    }
    for (uint64_t i = 0; i <= halfwords; i++) {
        parts[part][i] += current[i];
        run_total += current[i];
    }
    part++;
    clear();
}

static void on_start(unsigned cpu, void *user)
{
    (void)cpu, (void)user;
    running = 1;
    part = 0;
    run_total = 0;
    clear();
}

static void on_split(unsigned cpu, void *user)
{
    (void)cpu, (void)user;
    if (running)
        end_part();
}

static void on_stop(unsigned cpu, void *user)
{
    (void)cpu, (void)user;
    if (!running)
        return;
    end_part();
    running = 0;
    fprintf(out, "run %llu\n", (unsigned long long)run_total);
}

static void on_translate(plugin_id id, struct block *block)
{
    (void)id;
    for (size_t i = 0, n = qemu_plugin_tb_n_insns(block); i < n; i++) {
        struct instruction *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t at = qemu_plugin_insn_vaddr(instruction);
        void (*marker)(unsigned, void *) = at == marker_start   ? on_start
                                           : at == marker_split ? on_split
                                           : at == marker_stop  ? on_stop
                                                                : NULL;
        if (marker) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, marker, NO_REGISTERS, NULL);
            continue;
        }
        uint64_t halfword = (at - code) / 2; /* below the code: wraps to far above it */
        if (halfword > halfwords)
            halfword = halfwords;
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD_U64, &current[halfword], 1);
    }
}

static void on_end(plugin_id id, void *user)
{
    (void)id, (void)user;
    for (size_t p = 0; p < parts_len; p++) {
        uint64_t total = 0;
        for (uint64_t i = 0; i <= halfwords; i++)
            total += parts[p][i];
        fprintf(out, "part %zu %llu %llu\n", p, (unsigned long long)total,
                (unsigned long long)parts[p][halfwords]);
        for (uint64_t i = 0; i < halfwords; i++)
            if (parts[p][i])
                fprintf(out, "at %llx %llu\n", (unsigned long long)(code + 2 * i),
                        (unsigned long long)parts[p][i]);
    }
    fputs("end\n", out);
    fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (!value)
            fail("an argument has no value");
        uint64_t number = strtoull(++value, NULL, 16);
        if (!strncmp(argv[i], "start=", 6))
            marker_start = number;
        else if (!strncmp(argv[i], "split=", 6))
            marker_split = number;
        else if (!strncmp(argv[i], "stop=", 5))
            marker_stop = number;
        else if (!strncmp(argv[i], "code=", 5))
            code = number;
        else if (!strncmp(argv[i], "bytes=", 6))
            halfwords = (number + 1) / 2;
        else if (!strncmp(argv[i], "out=", 4))
            path = value;
        else
            fail("unknown argument");
    }
    if (!path || !(out = fopen(path, "w")))
        fail("cannot write the counts");
    current = new_counts();
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
