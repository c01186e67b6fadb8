"""Claims of volumes: made by the run, written by one task and read by another, removed at the end."""

from kfp import dsl, kubernetes


@dsl.component(base_image="python:3.11")
def write(text: str, folder: str):
    with open(f"{folder}/words.txt", "w") as file:
        file.write(text)


@dsl.component(base_image="python:3.11")
def read(folder: str) -> str:
    with open(f"{folder}/words.txt") as file:
        return file.read()


@dsl.pipeline(name="volumes")
def pipeline(text: str = "kept", claim: str = "there-already"):
    made = kubernetes.CreatePVC(
        pvc_name_suffix="-words", access_modes=["ReadWriteOnce"], size="1Gi", storage_class_name="standard"
    )
    written = write(text=text, folder="/data")
    kubernetes.mount_pvc(written, pvc_name=made.outputs["name"], mount_path="/data")
    found = read(folder="/data").after(written)
    kubernetes.mount_pvc(found, pvc_name=made.outputs["name"], mount_path="/data")
    kubernetes.mount_pvc(found, pvc_name="shared", mount_path="/shared")
    other = write(text=text, folder="/old")
    kubernetes.mount_pvc(other, pvc_name=claim, mount_path="/old")
    kubernetes.DeletePVC(pvc_name=made.outputs["name"]).after(found)
