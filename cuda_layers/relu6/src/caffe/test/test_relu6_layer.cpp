// Written for caffeflow; BSD-2-Clause.
#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/relu6_layer.hpp"

#ifdef USE_CUDNN
#include "caffe/layers/cudnn_relu6_layer.hpp"
#endif

#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"

namespace caffe {

template <typename TypeParam>
class ReLU6LayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  ReLU6LayerTest()
      : bottom_(new Blob<Dtype>(2, 3, 5, 7)), top_(new Blob<Dtype>()) {
    FillerParameter filler_param;
    filler_param.set_mean(3);
    filler_param.set_std(5);
    GaussianFiller<Dtype> filler(filler_param);
    Caffe::set_random_seed(1701);
    filler.Fill(bottom_.get());
    bottom_vec_.push_back(bottom_.get());
    top_vec_.push_back(top_.get());
  }

  static Dtype Expected(Dtype x) {
    return std::max(Dtype(0), std::min(x, Dtype(6)));
  }

  void TestForward(Layer<Dtype>* layer) {
    layer->SetUp(bottom_vec_, top_vec_);
    layer->Forward(bottom_vec_, top_vec_);
    ASSERT_EQ(bottom_->shape(), top_->shape());
    for (int i = 0; i < bottom_->count(); ++i) {
      EXPECT_EQ(Expected(bottom_->cpu_data()[i]), top_->cpu_data()[i]);
    }
  }

  // The numeric gradient is of no use at a kink: values move away from both.
  void TestGradient(Layer<Dtype>* layer) {
    Dtype* data = bottom_->mutable_cpu_data();
    for (int i = 0; i < bottom_->count(); ++i) {
      if (std::fabs(data[i]) < 0.1) { data[i] += 0.3; }
      if (std::fabs(data[i] - 6) < 0.1) { data[i] += 0.3; }
    }
    GradientChecker<Dtype> checker(1e-2, 1e-3);
    checker.CheckGradientEltwise(layer, bottom_vec_, top_vec_);
  }

  // Exactly at 0 and at 6, and one step to each side of them.
  void TestEnds(Layer<Dtype>* layer) {
    const Dtype values[] = {-0.5, 0, 0.5, 5.5, 6, 6.5};
    const Dtype gradients[] = {0, 0, 1, 1, 0, 0};
    bottom_->Reshape(vector<int>(1, 6));
    std::copy(values, values + 6, bottom_->mutable_cpu_data());
    layer->SetUp(bottom_vec_, top_vec_);
    layer->Forward(bottom_vec_, top_vec_);
    caffe_set(6, Dtype(1), top_->mutable_cpu_diff());
    layer->Backward(top_vec_, vector<bool>(1, true), bottom_vec_);
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(gradients[i], bottom_->cpu_diff()[i]) << "at " << values[i];
    }
  }

  // The same values as with a top of its own.
  void TestInPlace(Layer<Dtype>* layer) {
    Blob<Dtype> before;
    before.CopyFrom(*bottom_, false, true);
    layer->SetUp(bottom_vec_, bottom_vec_);
    layer->Forward(bottom_vec_, bottom_vec_);
    caffe_set(bottom_->count(), Dtype(2), bottom_->mutable_cpu_diff());
    layer->Backward(bottom_vec_, vector<bool>(1, true), bottom_vec_);
    for (int i = 0; i < before.count(); ++i) {
      const Dtype x = before.cpu_data()[i];
      EXPECT_EQ(Expected(x), bottom_->cpu_data()[i]);
      EXPECT_EQ(x > 0 && x < 6 ? 2 : 0, bottom_->cpu_diff()[i]);
    }
  }

  shared_ptr<Blob<Dtype> > bottom_;
  shared_ptr<Blob<Dtype> > top_;
  vector<Blob<Dtype>*> bottom_vec_;
  vector<Blob<Dtype>*> top_vec_;
};

TYPED_TEST_CASE(ReLU6LayerTest, TestDtypesAndDevices);

TYPED_TEST(ReLU6LayerTest, TestForward) {
  ReLU6Layer<typename TypeParam::Dtype> layer((LayerParameter()));
  this->TestForward(&layer);
}

TYPED_TEST(ReLU6LayerTest, TestGradient) {
  ReLU6Layer<typename TypeParam::Dtype> layer((LayerParameter()));
  this->TestGradient(&layer);
}

TYPED_TEST(ReLU6LayerTest, TestEnds) {
  ReLU6Layer<typename TypeParam::Dtype> layer((LayerParameter()));
  this->TestEnds(&layer);
}

TYPED_TEST(ReLU6LayerTest, TestInPlace) {
  ReLU6Layer<typename TypeParam::Dtype> layer((LayerParameter()));
  this->TestInPlace(&layer);
}

// By its type, so that the registration and cuDNN's class, where it is
// built, take part.
TYPED_TEST(ReLU6LayerTest, TestMadeByType) {
  typedef typename TypeParam::Dtype Dtype;
  LayerParameter param;
  param.set_type("ReLU6");
  shared_ptr<Layer<Dtype> > layer = LayerRegistry<Dtype>::CreateLayer(param);
  EXPECT_STREQ("ReLU6", layer->type());
  this->TestForward(layer.get());
}

#ifdef USE_CUDNN
template <typename Dtype>
class CuDNNReLU6LayerTest : public ReLU6LayerTest<GPUDevice<Dtype> > {};

TYPED_TEST_CASE(CuDNNReLU6LayerTest, TestDtypes);

TYPED_TEST(CuDNNReLU6LayerTest, TestForwardCuDNN) {
  CuDNNReLU6Layer<TypeParam> layer((LayerParameter()));
  this->TestForward(&layer);
}

TYPED_TEST(CuDNNReLU6LayerTest, TestGradientCuDNN) {
  CuDNNReLU6Layer<TypeParam> layer((LayerParameter()));
  this->TestGradient(&layer);
}

TYPED_TEST(CuDNNReLU6LayerTest, TestEndsCuDNN) {
  CuDNNReLU6Layer<TypeParam> layer((LayerParameter()));
  this->TestEnds(&layer);
}

TYPED_TEST(CuDNNReLU6LayerTest, TestInPlaceCuDNN) {
  CuDNNReLU6Layer<TypeParam> layer((LayerParameter()));
  this->TestInPlace(&layer);
}
#endif

}  // namespace caffe
