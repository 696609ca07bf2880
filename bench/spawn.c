/*
 * Spawns a command many times and prints, for each run, when it began and how long it took until its exit was known
 * (nanoseconds, in the order of completion). In C, because Python's subprocess costs more than what is measured.
 *
 *   spawn RUNS PARALLEL OFFSET START PERIOD ENVIRONMENT STDIN COMMAND [ARGUMENT...]
 *
 * With a PERIOD, run i begins at START + i * PERIOD (nanoseconds of CLOCK_MONOTONIC) or when its caller is free, so that
 * several commands can take turns with rests between them; with 0 each run begins when the one before has ended.
 * ENVIRONMENT is a file of NUL-terminated NAME=VALUE entries, the whole environment of each run; every "%d" in it
 * becomes OFFSET plus the run's index. STDIN is a file of at most a pipe's capacity, given through a pipe as container
 * runtimes do. Output is thrown away. A run that does not exit with 0 ends the measurement with an error.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIPE_CAPACITY = 65536, MAX_ENTRIES = 256, MAX_ENVIRONMENT = 1 << 16 };

static long runs, offset;
static int64_t start, period;
static char **command;
static char environment[MAX_ENVIRONMENT], input[PIPE_CAPACITY];
static size_t environment_size, input_size;
static atomic_long next_run;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void rest_until(int64_t moment)
{
    struct timespec t = {moment / 1000000000, moment % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
        ;
}

static size_t load(const char *path, char *to, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        err(1, "%s", path);
    size_t n = fread(to, 1, capacity, file);
    if (n == capacity)
        errx(1, "%s: larger than %zu bytes", path, capacity - 1);
    fclose(file);
    return n;
}

/* Writes the entries of run `index` one after the other into `store`, and points `entries` at them. */
static void number_environment(long index, char *store, size_t size, char **entries)
{
    char *to = store, *end = store + size - 32;
    size_t n = 0;
    for (const char *from = environment; from < environment + environment_size; from++) {
        if (from == environment || !from[-1])
            entries[n++] = to;
        if (from[0] == '%' && from[1] == 'd') {
            to += sprintf(to, "%ld", offset + index);
            from++;
        } else {
            *to++ = *from;
        }
        if (to > end || n == MAX_ENTRIES)
            errx(1, "the environment is too large");
    }
    entries[n] = NULL;
}

/* A pipe that already holds all of stdin; returns its reading end. */
static int filled_pipe(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) || write(ends[1], input, input_size) != (ssize_t)input_size)
        err(1, "pipe");
    close(ends[1]);
    return ends[0];
}

static void spawn_and_wait(long index, int in, int out, char **entries, int64_t *began, int64_t *ended)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    pid_t pid;
    int status;
    *began = now();
    int error = posix_spawn(&pid, command[0], &actions, NULL, command, entries);
    if (error)
        errx(1, "%s: %s", command[0], strerror(error));
    if (waitpid(pid, &status, 0) != pid)
        err(1, "waitpid");
    *ended = now();
    posix_spawn_file_actions_destroy(&actions);
    if (status)
        errx(1, "run %ld of %s: wait status %d", index, command[0], status);
}

static void *caller(void *unused)
{
    static _Thread_local char store[2 * MAX_ENVIRONMENT], *entries[MAX_ENTRIES + 1];
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (long index; (index = atomic_fetch_add(&next_run, 1)) < runs;) {
        int64_t began, ended;
        number_environment(index, store, sizeof store, entries);
        int in = filled_pipe();
        if (period)
            rest_until(start + index * period);
        spawn_and_wait(index, in, out, entries, &began, &ended);
        close(in);
        printf("%lld %lld\n", (long long)began, (long long)(ended - began));
    }
    close(out);
    return unused;
}

int main(int argc, char **argv)
{
    if (argc < 9)
        errx(2, "usage: spawn RUNS PARALLEL OFFSET START PERIOD ENVIRONMENT STDIN COMMAND [ARGUMENT...]");
    runs = atol(argv[1]);
    long parallel = atol(argv[2]);
    offset = atol(argv[3]);
    start = atoll(argv[4]);
    period = atoll(argv[5]);
    environment_size = load(argv[6], environment, sizeof environment);
    input_size = load(argv[7], input, sizeof input);
    command = argv + 8;
    pthread_t threads[parallel];
    for (long i = 0; i < parallel; i++)
        if (pthread_create(&threads[i], NULL, caller, NULL))
            errx(1, "no thread");
    for (long i = 0; i < parallel; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
