"""Builds the images when told to, installs the overlay as far as the cluster can take it, waits and explains."""

from __future__ import annotations

import os
import subprocess
import time

from tests.cluster_suite.kubectl import KubectlError, Object
from tests.cluster_suite.manifests import images, render, servable
from tests.cluster_suite.options import ROOT, SYSTEM
from tests.cluster_suite.preflight import Unfit, look, marked, served_by, unwelcome
from tests.cluster_suite.waiting import until_ready
from tests.cluster_suite.world import Skipped, World

PATIENCE_S = 60.0


def preflight(world: World) -> str:
    """Facts about the cluster; raises Unfit."""
    world.facts = look(world.kubectl)
    world.report.note(*world.facts.notes)
    if not world.options.overlay_path.is_dir():
        raise Unfit(f"there is no overlay {world.options.overlay!r} in deploy/overlays")
    there = world.kubectl.raw(f"/api/v1/namespaces/{SYSTEM}")
    if why := unwelcome(world.facts.version, world.options.overlay, world.options.steps, there):
        raise Unfit(why)
    return f"Kubernetes {world.facts.version}"


def build_images(world: World) -> str:
    """`make images PUSH=1` with the prefix, tag and base image of the environment."""
    options = world.options
    if not options.build:
        raise Skipped("BUILD=1 is not set: the images under IMAGE_PREFIX are taken as they are")
    said = [f"IMAGE_PREFIX={options.image_prefix}", f"BASE_IMAGE={options.base_image}", "PUSH=1"]
    said += [f"IMAGE_TAG={options.image_tag}"] if options.image_tag else []
    done = subprocess.run(["make", "images", *said], cwd=ROOT, env=dict(os.environ), check=False)
    if done.returncode:
        raise Unfit(f"`make images` ended with {done.returncode}; its words are above")
    return f"pushed under {options.image_prefix}"


def install(world: World) -> str:
    """Everything applied and ready."""
    options, began = world.options, time.monotonic()
    documents = render(world.kubectl, options.overlay_path, options.image_prefix, options.image_tag, options.mirror)
    rendered = servable(documents, served_by(world.kubectl))
    world.report.note(*(f"left out: {line}" for line in rendered.left_out))
    world.applied = [marked(document) for document in rendered.documents]
    world.tell(f"{len(rendered.documents)} objects of overlay {options.overlay}, {len(images(documents))} images")
    _apply(world, world.applied)
    started = until_ready(world.kubectl, SYSTEM, options.wait_s, world.tell)
    took = time.monotonic() - began
    world.report.figure("install, applied to all ready (s)", took)
    if started:
        world.report.figure("pod start, slowest of the platform (s)", max(started.values()))
        world.report.figure("pod start, median of the platform (s)", sorted(started.values())[len(started) // 2])
    return f"overlay {options.overlay}: {len(started)} pods ready, {len(rendered.left_out)} kinds left out"


def _apply(world: World, documents: list[Object]) -> None:
    """Again for a while: a namespace, its service accounts and webhooks need a moment before others can use them."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            world.kubectl.apply(documents)
            return
        except KubectlError as error:
            if time.monotonic() > end:
                raise
            world.tell(f"not taken yet, trying again: {error.said.strip().splitlines()[-1][:160]}")
            time.sleep(3)


def own_namespace(world: World) -> None:
    """Where the suite's jobs live. Pod Security `baseline` is what clusters give their users; `warn` tells more."""
    labels = {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted"}
    metadata = {"name": world.options.namespace, "labels": labels}
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    world.kubectl.apply([namespace])
    if world.applied:
        world.applied.append(namespace)
