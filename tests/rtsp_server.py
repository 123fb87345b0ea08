"""Serve live streams over RTSP from this machine, for tests: /usr/bin/python3 rtsp_server.py PORT NAME=WIDTHxHEIGHT[@FPS] ...

Written for the Python of the system, which has GStreamer. PORT 0 takes a free one. Prints the port once it listens, and ends with
its standard input. With --user NAME:PASSWORD only who knows them may watch. A moving ball is shown, on a background of its own
for each stream; every frame is H.264, with a key frame twice a second.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true pattern=ball background-color={colour} "
    "! video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={key} "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("streams", nargs="+")
    parser.add_argument("--user", default="")
    given = parser.parse_args()
    Gst.init(None)
    loop = GLib.MainLoop()
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(given.port)
    if given.user:
        name, _, password = given.user.partition(":")
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
        auth = GstRtspServer.RTSPAuth()
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        server.set_auth(auth)
    for number, stream in enumerate(given.streams):
        name, _, rest = stream.partition("=")
        size, _, fps = rest.partition("@")
        width, _, height = size.partition("x")
        factory = GstRtspServer.RTSPMediaFactory()
        rate = int(fps or 25)
        colour = 0xFF000000 + 0x101810 * (number + 1)
        factory.set_launch(LAUNCH.format(colour=colour, width=width, height=height, fps=rate, key=max(1, rate // 2)))
        factory.set_shared(True)
        if given.user:
            access = GstRtspServer.RTSPPermissions()
            access.add_permission_for_role("user", "media.factory.access", True)
            access.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(access)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    main()
