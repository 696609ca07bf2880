/*
 * The executable that a container runtime finds under a plugin's name. It understands nothing of IPAM: it hands
 * argv[0], the CNI_ environment and stdin to the agent and relays the answer; without an agent it becomes the
 * interpreter that gives the same answer cold. docs/cni.md draws the frames.
 *
 * No libc: starting the process is most of what a call costs, and a libc's start-up would be half of that.
 * What installation decides (socket, fallback command) is patched into the two slots below; see install.py.
 */
#include <stddef.h>
#include <stdint.h>

/* ---- the kernel ------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)

enum {
    SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_mmap = 9, SYS_rt_sigaction = 13, SYS_pwrite64 = 18,
    SYS_socket = 41, SYS_connect = 42, SYS_sendto = 44, SYS_execve = 59, SYS_fcntl = 72, SYS_getcwd = 79,
    SYS_exit_group = 231, SYS_ppoll = 271, SYS_dup3 = 292, SYS_memfd_create = 319,
};

static long sys(long n, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(n)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return n;
}

__asm__(".text\n.globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall launch\n");

#elif defined(__aarch64__) && defined(__AARCH64EL__)

enum {
    SYS_getcwd = 17, SYS_dup3 = 24, SYS_fcntl = 25, SYS_close = 57, SYS_read = 63, SYS_write = 64,
    SYS_pwrite64 = 68, SYS_ppoll = 73, SYS_exit_group = 94, SYS_rt_sigaction = 134, SYS_socket = 198,
    SYS_connect = 203, SYS_sendto = 206, SYS_execve = 221, SYS_mmap = 222, SYS_memfd_create = 279,
};

static long sys(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}

__asm__(".text\n.globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tand sp, x0, #-16\n\tb launch\n");

#else
#error "the launcher knows x86_64 and little-endian aarch64; teach it this processor's system calls above"
#endif

#define SYS3(name, a, b, c) sys(SYS_##name, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS6(name, a, b, c, d, e, f) sys(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

enum { EPERM = 1, ENOENT = 2, EINTR = 4, ENOEXEC = 8, EAGAIN = 11, EACCES = 13, EPIPE = 32, ECONNREFUSED = 111 };
enum { AT_RANDOM = 25, AF_UNIX = 1, SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 04000 | 02000000, MSG_NOSIGNAL = 0x4000 };
enum { F_DUPFD_CLOEXEC = 1030, MFD_CLOEXEC = 1, SIGPIPE = 13, SIG_IGN = 1, POLLIN = 1, POLLOUT = 4 };
enum { PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22 };

struct pollfd { int fd; short events, revents; };
struct timespec { int64_t seconds, nanoseconds; };
struct sockaddr_un { uint16_t family; char path[108]; };

/* ---- what installation patches ---------------------------------------------------------------------------- */

/* Weak, so that the compiler cannot take the empty values for granted. install.py finds a slot by its marker; a value
 * is NUL-terminated. `fallback` is an argv: NUL-terminated strings, ended by an empty one. */
#define PATCHED __attribute__((weak)) const
PATCHED struct { char marker[20]; char value[108]; } socket_slot = {"<unipam:socket:108>", ""};
PATCHED struct { char marker[23]; char value[4096]; } fallback_slot = {"<unipam:fallback:4096>", ""};

/* ---- bytes ------------------------------------------------------------------------------------------------ */

enum { FIRST = 1 << 16, MAX_STDIN = 16 << 20, MAX_ANSWER = 64 << 20, ANSWER_HEAD = 4 + 1 + 4, PATIENCE = 4 };

struct bytes { char *at; size_t used, size; };

static const char call_variable[] = "UNIPAM_CALL=";

/* All that changes stands side by side, the question first and the answer behind it, so that an ordinary call touches
 * one page: giving a process a page takes the kernel as long as a system call. Nothing is initialised in the file, for
 * the same reason. */
static struct {
    struct bytes question, answer, message;
    const char *trouble; /* why the agent gave no answer, for the message of last resort */
    long trouble_error;
    struct timespec patience;
    char call_id[sizeof call_variable + 32];
    char calls[2 * FIRST], messages[2 * FIRST];
} own __attribute__((aligned(4096)));

/* Compilers call these two by themselves; the empty asm keeps them from turning a loop into a call of itself. */
void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = ((const char *)from)[i];
        __asm__ volatile("");
    }
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = (char)byte;
        __asm__ volatile("");
    }
    return to;
}

static size_t length(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

/* The text after `prefix`, or NULL when `text` does not start with it. */
static const char *after(const char *prefix, const char *text)
{
    while (*prefix)
        if (*prefix++ != *text++)
            return NULL;
    return text;
}

static uint32_t u32_at(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---- giving up -------------------------------------------------------------------------------------------- */

/* Writes everything to a file descriptor that may be non-blocking; 0, or the error that stopped it. */
static long write_all(int fd, const char *at, size_t n)
{
    while (n) {
        long done = SYS3(write, fd, at, n);
        if (done == -EAGAIN) {
            struct pollfd writable = {fd, POLLOUT, 0};
            SYS6(ppoll, &writable, 1, 0, 0, 0, 0);
        } else if (done < 0 && done != -EINTR) {
            return done;
        } else if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

static _Noreturn void leave(int code)
{
    for (;;)
        SYS3(exit_group, code, 0, 0);
}

/* A message that cannot hold more is cut: its store is larger than any sane path, and a failure must not fail. */
static void put(char byte)
{
    if (own.message.used < own.message.size)
        own.message.at[own.message.used++] = byte;
}

static void say(const char *text)
{
    while (*text)
        put(*text++);
}

/* Foreign text (a path) inside a JSON string. */
static void say_quoted(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20) {
            say("\\u00");
            put("0123456789abcdef"[c >> 4]);
            put("0123456789abcdef"[c & 15]);
        } else {
            if (c == '"' || c == '\\')
                put('\\');
            put((char)c);
        }
    }
}

static void say_number(long n)
{
    if (n >= 10)
        say_number(n / 10);
    put((char)('0' + n % 10));
}

/* Names, not the C library's sentences: runtimes swallow a failed DEL that says "no such file or directory". */
static void say_error(long error)
{
    switch (-error) {
    case EPERM: say("EPERM, "); break;
    case ENOENT: say("ENOENT, "); break;
    case ENOEXEC: say("ENOEXEC, "); break;
    case EAGAIN: say("EAGAIN, "); break;
    case EACCES: say("EACCES, "); break;
    case ECONNREFUSED: say("ECONNREFUSED, "); break;
    }
    say("errno ");
    say_number(-error);
}

/* A CNI error document (code 5: input or output failed) is begun, worded by say(), then ended; SPEC.md, "Error". */
static void begin_error(void)
{
    own.message = (struct bytes){own.messages, 0, sizeof own.messages};
    say("{\n    \"code\": 5,\n    \"msg\": \"");
}

static _Noreturn void end_error(void)
{
    say("\"\n}");
    write_all(1, own.message.at, own.message.used);
    leave(1);
}

static _Noreturn void fail(const char *what, long error)
{
    begin_error();
    say(what);
    if (error) {
        say(": ");
        say_error(error);
    }
    end_error();
}

/* ---- the question ----------------------------------------------------------------------------------------- */

static char *map(size_t size)
{
    long at = SYS6(mmap, 0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        fail("unipam launcher: no memory for the call", at);
    return (char *)at;
}

/* Makes room for `more` bytes. What was outgrown is left to the process's end. */
static void reserve(struct bytes *b, size_t more)
{
    if (b->size - b->used >= more)
        return;
    size_t size = 2 * (b->used + more);
    b->at = memcpy(map(size), b->at, b->used);
    b->size = size;
}

/* Appends with its final NUL, which separates the strings of a frame. */
static void add_string(struct bytes *b, const char *text)
{
    size_t n = length(text) + 1;
    reserve(b, n);
    memcpy(b->at + b->used, text, n);
    b->used += n;
}

static void add_cwd(struct bytes *b)
{
    reserve(b, 4096);
    if (SYS3(getcwd, b->at + b->used, 4096, 0) < 0)
        b->at[b->used] = 0; /* removed or too deep: the empty string says "unknown" */
    b->used += length(b->at + b->used) + 1;
}

/* The kernel gave this process 16 random bytes: unique in every PID namespace and boot, and no system call. */
static void name_call(const unsigned long *auxv)
{
    while (auxv[0] && auxv[0] != AT_RANDOM)
        auxv += 2;
    if (!auxv[0])
        fail("unipam launcher: the kernel passed no AT_RANDOM to name this call by", 0);
    const unsigned char *random = (const unsigned char *)auxv[1];
    memcpy(own.call_id, call_variable, sizeof call_variable);
    char *digit = own.call_id + sizeof call_variable - 1;
    for (int i = 0; i < 16; i++) {
        *digit++ = "0123456789abcdef"[random[i] >> 4];
        *digit++ = "0123456789abcdef"[random[i] & 15];
    }
}

/* A person at a terminal, who sets no command, must not hang; and VERSION is answered without its input. */
static int wants_stdin(char **env)
{
    for (; *env; env++) {
        const char *command = after("CNI_COMMAND=", *env);
        if (command) {
            const char *rest = after("VERSION", command);
            return *command && !(rest && !*rest);
        }
    }
    return 0;
}

static void add_stdin(struct bytes *b)
{
    size_t start = b->used;
    for (;;) {
        reserve(b, 4096);
        long n = SYS3(read, 0, b->at + b->used, b->size - b->used);
        if (n == 0)
            return;
        if (n == -EAGAIN) {
            struct pollfd readable = {0, POLLIN, 0};
            SYS6(ppoll, &readable, 1, 0, 0, 0, 0);
        } else if (n < 0 && n != -EINTR) {
            fail("error reading from stdin", n);
        } else if (n > 0) {
            b->used += (size_t)n;
        }
        if (b->used - start > MAX_STDIN)
            fail("error reading from stdin: more than 16 MiB; a network configuration is a few kilobytes", 0);
    }
}

/* Composes the frame in place, so that one send carries it; returns where in it stdin begins. */
static size_t compose_question(const char *name, char **env)
{
    struct bytes *question = &own.question;
    *question = (struct bytes){own.calls, sizeof(uint32_t), sizeof own.calls / 2};
    add_string(question, name);
    add_cwd(question);
    for (char **entry = env; *entry; entry++)
        if (after("CNI_", *entry))
            add_string(question, *entry);
    add_string(question, own.call_id);
    add_string(question, "");
    size_t start = question->used;
    if (wants_stdin(env))
        add_stdin(question);
    uint32_t rest = (uint32_t)(question->used - sizeof(uint32_t));
    memcpy(question->at, &rest, sizeof rest);
    return start;
}

/* ---- the agent -------------------------------------------------------------------------------------------- */

static long troubled(const char *what, long error)
{
    own.trouble = what;
    own.trouble_error = error;
    return -1;
}

/* The 4 s that an agent may be silent are `patience`; ppoll(2) itself counts down what is left. */
static long wait_for(int fd, short events)
{
    struct pollfd ready = {fd, events, 0};
    for (;;) {
        long n = SYS6(ppoll, &ready, 1, &own.patience, 0, 0, 0);
        if (n > 0)
            return 0;
        if (n == 0)
            return troubled("was silent for 4 s", 0);
        if (n != -EINTR)
            return troubled("could not be waited for", n);
    }
}

/* A caller may have closed 0, 1 or 2: the agent's socket must not take such a place, or answers would go there. */
static long above_standard(long fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    long higher = SYS3(fcntl, fd, F_DUPFD_CLOEXEC, 3);
    SYS3(close, fd, 0, 0);
    return higher;
}

static long connect_agent(void)
{
    struct sockaddr_un address;
    address.family = AF_UNIX;
    memcpy(address.path, socket_slot.value, sizeof address.path);
    long fd = above_standard(SYS3(socket, AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0));
    if (fd < 0)
        return troubled("could not be given a socket", fd);
    own.patience.seconds = PATIENCE;
    long error = SYS3(connect, fd, &address, sizeof address);
    return error ? troubled("could not be reached", error) : fd;
}

static long send_question(int fd)
{
    for (size_t sent = 0; sent < own.question.used;) {
        long n = SYS6(sendto, fd, own.question.at + sent, own.question.used - sent, MSG_NOSIGNAL, 0, 0);
        if (n > 0)
            sent += (size_t)n;
        else if (n == -EAGAIN && wait_for(fd, POLLOUT))
            return -1;
        else if (n != -EAGAIN && n != -EINTR)
            return troubled("hung up on the question", n);
    }
    return 0;
}

/* Reads until the answer holds `wanted` bytes. */
static long receive(int fd, size_t wanted)
{
    struct bytes *answer = &own.answer;
    reserve(answer, wanted > answer->used ? wanted - answer->used : 0);
    while (answer->used < wanted) {
        if (wait_for(fd, POLLIN))
            return -1;
        long n = SYS3(read, fd, answer->at + answer->used, answer->size - answer->used);
        if (n > 0)
            answer->used += (size_t)n;
        else if (n != -EAGAIN && n != -EINTR)
            return troubled("went away before its answer", n);
    }
    return 0;
}

/* Reads the length of the answer. An empty frame says that the agent is at it: then it is waited for anew. */
static long receive_length(int fd)
{
    struct bytes *answer = &own.answer;
    for (;;) {
        if (receive(fd, sizeof(uint32_t)))
            return -1;
        if (u32_at(answer->at))
            return 0;
        answer->at += sizeof(uint32_t);
        answer->used -= sizeof(uint32_t);
        answer->size -= sizeof(uint32_t);
        own.patience = (struct timespec){PATIENCE, 0};
    }
}

/* The answer stands behind a question that found room in the first half of the store, or else at its beginning. */
static long receive_answer(int fd)
{
    size_t taken = own.question.at == own.calls ? own.question.used : 0;
    own.answer = (struct bytes){own.calls + taken, 0, sizeof own.calls - taken};
    if (receive_length(fd) || receive(fd, ANSWER_HEAD))
        return -1;
    size_t rest = u32_at(own.answer.at), out = u32_at(own.answer.at + 5);
    if (rest > MAX_ANSWER || out + 5 > rest)
        return troubled("sent an answer that is not one of unipam's", 0);
    return receive(fd, 4 + rest);
}

/* Passes the answer on. Only an acknowledged ADD stands: without the byte the agent takes the address back; and
 * when the agent is gone before the byte, it may have done so, and the caller must not believe its answer. */
static _Noreturn void relay(int fd)
{
    const struct { long handler, flags, restorer, mask; } ignore = {SIG_IGN, 0, 0, 0};
    SYS6(rt_sigaction, SIGPIPE, &ignore, 0, sizeof ignore.mask, 0, 0);
    const char *out = own.answer.at + ANSWER_HEAD;
    size_t out_size = u32_at(own.answer.at + 5), err_size = 4 + u32_at(own.answer.at) - ANSWER_HEAD - out_size;
    if (write_all(1, out, out_size))
        leave(1);
    write_all(2, out + out_size, err_size);
    long acknowledged = SYS6(sendto, fd, "k", 1, MSG_NOSIGNAL, 0, 0);
    if (out_size && acknowledged != 1)
        leave(1);
    leave((unsigned char)own.answer.at[4]);
}

/* ---- without an agent ------------------------------------------------------------------------------------- */

/* Stdin was read and is spent: gives the same bytes again, as a file of no name. */
static void restore_stdin(size_t start)
{
    long fd = SYS3(memfd_create, "unipam-stdin", MFD_CLOEXEC, 0), n = 1;
    for (size_t done = start; n > 0 && done < own.question.used; done += (size_t)n)
        n = SYS6(pwrite64, fd, own.question.at + done, own.question.used - done, done - start, 0, 0);
    if (n > 0)
        n = SYS3(dup3, fd, 0, 0) < 0 ? -EPERM : 1;
    if (n <= 0)
        fail("unipam launcher: stdin could not be kept for the interpreter", n);
}

/* The caller's environment, with this call's name in it and no other's. */
static char **environment(char **env)
{
    size_t n = 0, kept = 0;
    while (env[n])
        n++;
    char **all = (char **)map((n + 2) * sizeof *all);
    for (size_t i = 0; i < n; i++)
        if (!after(call_variable, env[i]))
            all[kept++] = env[i];
    all[kept++] = own.call_id;
    all[kept] = NULL;
    return all;
}

/* The patched command, and behind it the name that we were called by and the arguments. */
static char **command(char **argv, size_t argc)
{
    char **words = (char **)map((sizeof fallback_slot.value / 2 + argc + 2) * sizeof *words);
    size_t n = 0;
    for (const char *word = fallback_slot.value; *word; word += length(word) + 1)
        words[n++] = (char *)word;
    for (size_t i = 0; i < argc; i++)
        words[n++] = argv[i];
    return words;
}

static _Noreturn void become_interpreter(char **argv, size_t argc, char **env)
{
    long error = SYS3(execve, fallback_slot.value, command(argv, argc), environment(env));
    begin_error();
    say("unipam: the agent at ");
    say_quoted(socket_slot.value);
    say(" ");
    say(own.trouble);
    if (own.trouble_error) {
        say(" (");
        say_error(own.trouble_error);
        say(")");
    }
    say(", and ");
    say_quoted(fallback_slot.value);
    say(" could not be started in its place (");
    say_error(error);
    say("): start 'unipam agent', or point the plugin at an interpreter that exists with 'unipam cni install'");
    end_error();
}

/* ---- the call --------------------------------------------------------------------------------------------- */

/* `stack` is as the kernel lays it out: argc, argv and NULL, the environment and NULL, the auxiliary vector. */
_Noreturn void launch(long *stack)
{
    char *nameless = "", **argv = stack[0] ? (char **)stack + 1 : &nameless;
    size_t argc = stack[0] ? (size_t)stack[0] : 1;
    char **env = (char **)stack + stack[0] + 2, **end = env;
    while (*end)
        end++;
    if (!*socket_slot.value || !*fallback_slot.value)
        fail("unipam: this launcher was copied, not installed: use 'unipam cni install'", 0);
    name_call((const unsigned long *)(end + 1));
    if (argc > 1) { /* no runtime's call, but a person's or an init container's, which the agent has no part in */
        own.trouble = "is not asked what has arguments";
        become_interpreter(argv, argc, env);
    }
    size_t stdin_at = compose_question(argv[0], env);
    long fd = connect_agent();
    if (fd >= 0 && !send_question((int)fd) && !receive_answer((int)fd))
        relay((int)fd);
    if (wants_stdin(env))
        restore_stdin(stdin_at);
    become_interpreter(argv, argc, env);
}
