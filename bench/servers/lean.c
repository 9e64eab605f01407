/* A lean HTTP/1.1 server on 127.0.0.1: one thread, one epoll, keep-alive, answers made beforehand.

   lean PORT DELAY_US NAME=TAIL…   GET /NAME/ID answers {"id": "ID", followed by TAIL, DELAY_US after it arrived. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, MOST_SOCKETS = 16384, REQUEST = 4096, ID = 64, ANSWER = 16384, WAITING = 65536, ANSWERS = 8 };

typedef struct { const char *name, *tail; size_t name_size, tail_size; } Answer;
typedef struct { char bytes[REQUEST]; size_t size; uint32_t generation; } Connection;
typedef struct { int64_t due_ns; int socket; uint32_t generation; const Answer *answer; char id[ID]; size_t id_size; } Waiting;

static Connection *connections[MOST_SOCKETS];
static Answer answers[ANSWERS];
static int answer_count, epoll, timer;
static int64_t delay_ns;
/* All wait equally long, so who came first is due first: a ring is enough. */
static Waiting ring[WAITING];
static uint32_t ring_first, ring_end;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void watch(int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)) fail("epoll_ctl");
}

static void hang_up(int socket) {
    connections[socket]->size = 0;
    connections[socket]->generation++;
    close(socket);
}

static void send_all(int socket, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = socket, .events = POLLOUT};
            poll(&writable, 1, 1000);
        } else if (sent < 0) {
            return; /* The next read finds the connection's end. */
        } else {
            data += sent, size -= sent;
        }
    }
}

static void answer(int socket, const Answer *with, const char *id, size_t id_size) {
    static char out[ANSWER];
    static const char opening[] = "{\"id\": \"";
    if (!with) {
        static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        send_all(socket, none, sizeof none - 1);
        return;
    }
    int head = snprintf(out, sizeof out,
                        "HTTP/1.1 200 OK\r\nServer: lean\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        sizeof opening - 1 + id_size + with->tail_size, opening);
    memcpy(out + head, id, id_size);
    memcpy(out + head + id_size, with->tail, with->tail_size);
    send_all(socket, out, head + id_size + with->tail_size);
}

static void set_timer(void) {
    struct itimerspec at = {0};
    if (ring_first != ring_end) {
        int64_t due = ring[ring_first % WAITING].due_ns;
        at.it_value.tv_sec = due / 1000000000LL, at.it_value.tv_nsec = due % 1000000000LL;
    }
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL)) fail("timerfd_settime");
}

static void wait_for_delay(int socket, const Answer *with, const char *id, size_t id_size) {
    Waiting *last = &ring[ring_end % WAITING];
    *last = (Waiting){now_ns() + delay_ns, socket, connections[socket]->generation, with, {0}, id_size};
    memcpy(last->id, id, id_size);
    if (ring_end++ == ring_first) set_timer();
}

static void answer_due(void) {
    uint64_t ticks;
    if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) fail("timerfd");
    int64_t now = now_ns();
    for (; ring_first != ring_end && ring[ring_first % WAITING].due_ns <= now; ring_first++) {
        Waiting *due = &ring[ring_first % WAITING];
        if (connections[due->socket]->generation == due->generation) answer(due->socket, due->answer, due->id, due->id_size);
    }
    set_timer();
}

static const Answer *answer_for(const char *name, size_t size) {
    for (int i = 0; i < answer_count; i++)
        if (answers[i].name_size == size && !memcmp(answers[i].name, name, size)) return &answers[i];
    return NULL;
}

/* Answer one request, the bytes up to its empty line: "GET /NAME/ID HTTP/1.1…". */
static void take(int socket, const char *request, size_t size) {
    const char *name = size > 5 && !memcmp(request, "GET /", 5) ? request + 5 : NULL;
    const char *end = name ? memchr(name, ' ', size - 5) : NULL;
    const char *slash = end ? memchr(name, '/', end - name) : NULL;
    const Answer *with = slash ? answer_for(name, slash - name) : NULL;
    size_t id_size = with ? (size_t)(end - slash - 1) : 0;
    if (id_size > ID) with = NULL, id_size = 0;
    if (delay_ns) wait_for_delay(socket, with, with ? slash + 1 : "", id_size);
    else answer(socket, with, with ? slash + 1 : "", id_size);
}

static void hear(int socket) {
    Connection *connection = connections[socket];
    ssize_t got = recv(socket, connection->bytes + connection->size, REQUEST - connection->size, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        hang_up(socket);
        return;
    }
    connection->size += got;
    char *begin = connection->bytes, *stop = begin + connection->size, *end;
    while ((end = memmem(begin, stop - begin, "\r\n\r\n", 4))) {
        take(socket, begin, end - begin);
        begin = end + 4;
    }
    connection->size = stop - begin;
    if (connection->size == REQUEST) hang_up(socket);
    else memmove(connection->bytes, begin, connection->size);
}

static void accept_all(int listener) {
    int socket, on = 1;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (socket >= MOST_SOCKETS) {
            close(socket);
            continue;
        }
        if (!connections[socket]) connections[socket] = calloc(1, sizeof(Connection));
        if (!connections[socket]) fail("calloc");
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(socket);
    }
}

static int listening(int port) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) fail("listen");
    return listener;
}

static void allow_sockets(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files)) fail("getrlimit");
    files.rlim_cur = files.rlim_max < MOST_SOCKETS ? files.rlim_max : MOST_SOCKETS;
    if (setrlimit(RLIMIT_NOFILE, &files)) fail("setrlimit");
}

static void read_answers(int count, char **given) {
    for (; answer_count < count && answer_count < ANSWERS; answer_count++) {
        char *text = given[answer_count], *equals = strchr(text, '=');
        if (!equals || strlen(equals) > ANSWER - REQUEST) {
            fprintf(stderr, "lean: an answer is NAME=TAIL, not too long\n");
            exit(2);
        }
        answers[answer_count] = (Answer){text, equals + 1, equals - text, strlen(equals + 1)};
    }
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: lean PORT DELAY_US NAME=TAIL...\n");
        return 2;
    }
    delay_ns = atoll(arguments[2]) * 1000;
    read_answers(count - 3, arguments + 3);
    allow_sockets();
    int listener = listening(atoi(arguments[1]));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll < 0 || timer < 0) fail("epoll, timerfd");
    watch(listener);
    watch(timer);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) accept_all(listener);
            else if (descriptor == timer) answer_due();
            else hear(descriptor);
        }
    }
}
